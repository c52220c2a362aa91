"""Bodies that are too long for SQS go through S3, and leave nothing there."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from .. import Options, batch, large
from ..letters import Letters
from .support.app import make_app
from .support.processes import wait_until
from .support.worker import Aws, Worker, numbers, running_worker

LONG = "é" * 20_000
LIMIT = 10_000


@pytest.fixture(scope="module")
def bucket(aws: Aws) -> str:
    name = f"large-{next(numbers)}"
    aws.new_client("s3").create_bucket(Bucket=name)
    return name


def objects(aws: Aws, bucket: str) -> list[str]:
    found = aws.new_client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [one["Key"] for one in found]


def sender(url: str, bucket: str, **options: Any) -> Celery:
    return make_app(url, Options(large_bucket=bucket, large_bytes=LIMIT), **options)


@pytest.fixture(scope="module")
def worker(aws: Aws, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    sqs = {"large_bucket": bucket, "large_bytes": LIMIT, "first_retry_seconds": 1, "longest_delay_seconds": 1}
    with running_worker(aws, tmp_path_factory.mktemp("large"), aws.url, sqs=sqs) as worker:
        yield worker


@pytest.mark.slow
@pytest.mark.parametrize("base64", [True, False])
def test_long_task_runs_and_its_object_goes_with_it(aws: Aws, worker: Worker, bucket: str, base64: bool) -> None:
    app = sender(worker.queue_url, bucket)
    app.conf.broker_transport_options["sqs_base64_encoding"] = base64
    text = f"{LONG} {next(numbers)}"
    app.send_task("note", (text,))
    wait_until(lambda: worker.runs(text))
    wait_until(lambda: not objects(aws, bucket))
    assert not aws.depth(worker.queue_url)


@pytest.mark.slow
def test_long_task_for_later_keeps_its_body_while_it_is_sent_again(aws: Aws, worker: Worker, bucket: str) -> None:
    text = f"{LONG} later"
    due = time.time() + 3
    make_app(worker.queue_url, Options(large_bucket=bucket, large_bytes=LIMIT, longest_delay_seconds=1)).send_task(
        "note_time", (text,), countdown=3
    )
    wait_until(lambda: text in worker.notes.read_text())
    line = next(line for line in worker.notes.read_text().splitlines() if text in line)
    assert float(line.rpartition(" ")[2]) >= due
    wait_until(lambda: not objects(aws, bucket))


@pytest.mark.slow
def test_long_task_that_retries_is_stored_again(aws: Aws, worker: Worker, bucket: str) -> None:
    sender(worker.queue_url, bucket).send_task("try_again", (0.5,), {"text": LONG})
    wait_until(lambda: worker.notes.read_text().count("long try 2 at"))
    wait_until(lambda: not objects(aws, bucket))
    assert not aws.depth(worker.queue_url)


@pytest.mark.slow
def test_task_whose_body_is_gone_becomes_dead_letter_and_hurts_nobody(aws: Aws, bucket: str, tmp_path: Path) -> None:
    url = aws.queue()
    dead = aws.dead_letters_of(url)
    sqs = {"large_bucket": bucket, "first_retry_seconds": 1}
    sender(url, bucket).send_task("note", (LONG,))
    for key in objects(aws, bucket):
        aws.new_client("s3").delete_object(Bucket=bucket, Key=key)
    with running_worker(aws, tmp_path, aws.url, sqs=sqs, queues=url) as worker:
        assert worker.works()
        wait_until(lambda: aws.depth(dead))


@pytest.mark.smoke
def test_only_what_is_too_long_goes_through_s3(aws: Aws, bucket: str) -> None:
    url = aws.queue()
    app = sender(url, bucket)
    with batch(app):
        app.send_task("note", ("short",))
        app.send_task("note", (LONG,))
    assert len(objects(aws, bucket)) == 1
    received = aws.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert all(len(message["Body"]) < LIMIT for message in received)
    with app.connection_for_read() as connection:
        store = connection.default_channel.store
        for key in objects(aws, bucket):
            assert LONG in store.get(key.removeprefix(large.PREFIX)).encode().decode("unicode-escape")
            store.delete([key.removeprefix(large.PREFIX)])
    assert not objects(aws, bucket)


def test_purge_deletes_the_object_and_replay_keeps_it(aws: Aws, bucket: str) -> None:
    url = aws.queue()
    dead = aws.dead_letters_of(url)
    app = sender(url, bucket)
    sender(dead, bucket).send_task("note", (LONG,))
    with app.connection_for_read() as connection:
        letters = Letters(app, connection.default_channel, "jobs")
        assert letters.replay() == (1, 0)
        assert len(objects(aws, bucket)) == 1
        sender(dead, bucket).send_task("note", (LONG,))
        assert letters.purge() == 1
        assert len(objects(aws, bucket)) == 1
        for key in objects(aws, bucket):
            connection.default_channel.store.delete([key.removeprefix(large.PREFIX)])


@pytest.mark.parametrize("identity", ["../photos/secret", "photos/secret.jpg", ""])
def test_message_names_no_other_object(aws: Aws, bucket: str, identity: str) -> None:
    with sender(aws.queue(), bucket).connection_for_read() as connection:
        store = connection.default_channel.store
        with pytest.raises(ValueError, match="UUID"):
            store.get(identity)
        store.delete([identity])


def test_longest_body_is_refused_both_ways(aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with sender(aws.queue(), bucket).connection_for_read() as connection:
        store = connection.default_channel.store
        identity = store.put({"body": "x" * 2000})["headers"][large.HEADER]
        monkeypatch.setattr(large, "LONGEST_BYTES", 1000)
        with pytest.raises(ValueError, match="more than 1000"):
            store.get(identity)
        with pytest.raises(ValueError, match="send where they are"):
            store.put({"body": "x" * 2000})
        store.delete([identity])
