"""The SQS transport: no failure of SQS stops a worker or loses a message."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .support.app import make_app
from .support.processes import PATIENCE_SECONDS, wait_until
from .support.worker import VISIBILITY_SECONDS, Aws, Worker, job, running_worker, set_visibility

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proxy(aws: Aws) -> Iterator[ExitStack]:
    """Start the proxy; closing the stack ends it, after which it can be started again."""
    with ExitStack() as stack:
        stack.enter_context(aws.start_proxy())
        yield stack


@pytest.fixture(scope="module")
def shared_worker(aws: Aws, proxy: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Start, behind the proxy, the one worker that has to survive all these tests."""
    with running_worker(aws, tmp_path_factory.mktemp("worker"), aws.proxy) as worker:
        assert worker.works()
        yield worker


@pytest.fixture
def worker(shared_worker: Worker, aws: Aws) -> Iterator[Worker]:
    """Return the shared worker, healthy and with nothing to do."""
    aws.heal()
    wait_until(lambda: not aws.depth(shared_worker.queue_url))
    yield shared_worker
    aws.heal()
    assert shared_worker.process.poll() is None


FAULTS: dict[str, dict[str, Any]] = {
    "unavailable": {"times": 2, "error": {"code": "ServiceUnavailable", "status": 503}},
    "forbidden": {"times": 2, "error": {"code": "AccessDenied", "status": 403}},
    "throttled": {"times": 2, "error": {"code": "ThrottlingException", "status": 400}},
    "reset": {"times": 2, "reset": True},
    "cut": {"times": 2, "response": {"abort_frac": 0.5}},
    "emptied": {"times": 1, "response": {"truncate_bytes": 0}},
    "unanswered": {"times": 1, "timeout_ms": 30_000},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_worker_survives_failed_receive(fault: str, aws: Aws, worker: Worker) -> None:
    aws.fail("ReceiveMessage", **FAULTS[fault])
    wait_until(aws.failures)
    assert worker.works()


def test_worker_survives_six_seconds_of_refused_connections(aws: Aws, proxy: ExitStack, worker: Worker) -> None:
    proxy.close()
    refused_at = time.monotonic()
    worker.send("meanwhile")
    wait_until(lambda: time.monotonic() > refused_at + 6)
    proxy.enter_context(aws.start_proxy())
    wait_until(lambda: worker.runs("meanwhile"))


def test_worker_survives_reconnect(worker: Worker) -> None:
    worker.app.send_task("break_connection")
    wait_until(lambda: "Trying to re-establish the connection" in worker.output.read_text())
    assert worker.works()


def test_outage_does_not_flood_log(aws: Aws, worker: Worker) -> None:
    before = worker.output.read_text().count("receive_failed")
    aws.fail("ReceiveMessage", error={"code": "ServiceUnavailable", "status": 503})
    wait_until(lambda: aws.failures() >= 4)
    assert worker.output.read_text().count("receive_failed") <= before + 1
    assert "receive_failed" in worker.output.read_text()


def test_three_hundred_jobs_all_run(aws: Aws, worker: Worker) -> None:
    texts = [f"one-of-300-{number}" for number in range(300)]
    started_at = time.monotonic()
    for ten in (texts[first : first + 10] for first in range(0, 300, 10)):
        aws.client.send_message_batch(
            QueueUrl=worker.queue_url,
            Entries=[{"Id": text, "MessageBody": json.dumps(job(text))} for text in ten],
        )
    wait_until(lambda: worker.runs(texts[-1]) and worker.notes.read_text().count("one-of-300-") >= 300)
    print(f"{300 / (time.monotonic() - started_at):.0f} jobs/s")  # noqa: T201 - `pytest -s` shows it
    assert all(worker.runs(text) for text in texts)
    wait_until(lambda: not aws.depth(worker.queue_url))


NO_DELETIONS = {"error": {"code": "InternalFailure", "status": 500}}


def test_job_stays_hidden_while_its_deletion_fails(aws: Aws, worker: Worker) -> None:
    aws.fail("DeleteMessageBatch", **NO_DELETIONS)
    worker.send("hardly deletable")
    wait_until(lambda: worker.runs("hardly deletable"))
    ran_at = time.monotonic()
    wait_until(lambda: time.monotonic() > ran_at + 2 * VISIBILITY_SECONDS)
    aws.heal()
    wait_until(lambda: not aws.depth(worker.queue_url))
    assert worker.runs("hardly deletable") == 1


def test_job_runs_again_once_its_deletion_is_given_up(aws: Aws, proxy: ExitStack, tmp_path: Path) -> None:
    aws.fail("DeleteMessageBatch", **NO_DELETIONS)
    with running_worker(aws, tmp_path, aws.proxy, sqs={"settle_seconds": 1}) as worker:
        worker.send("undeletable")
        wait_until(lambda: worker.runs("undeletable") >= 2)
        assert "settle_given_up" in worker.output.read_text()
        aws.heal()
        wait_until(lambda: not aws.depth(worker.queue_url))


def test_brief_failure_to_delete_runs_no_job_twice(aws: Aws, worker: Worker) -> None:
    aws.fail("DeleteMessageBatch", times=1, reset=True)
    worker.send("deleted-late")
    wait_until(lambda: worker.runs("deleted-late"))
    wait_until(lambda: not aws.depth(worker.queue_url))
    assert worker.runs("deleted-late") == 1


@pytest.mark.smoke
def test_stopped_worker_finishes_its_job_and_releases_others(aws: Aws, tmp_path: Path) -> None:
    with running_worker(aws, tmp_path, aws.url, worker_concurrency=1, worker_prefetch_multiplier=4) as worker:
        set_visibility(aws, worker, 60)
        worker.send("first", until=tmp_path / "go on")
        wait_until(lambda: worker.runs("first"))
        for text in ("second", "third"):
            aws.client.send_message(QueueUrl=worker.queue_url, MessageBody=json.dumps(job(text)))
        wait_until(lambda: aws.depth(worker.queue_url, "ApproximateNumberOfMessagesNotVisible") == 3)

        worker.process.send_signal(signal.SIGTERM)
        # Logged when the signal arrives; waiting jobs are taken back soon after.
        wait_until(lambda: "Warm shutdown" in worker.output.read_text())
        (tmp_path / "go on").touch()
        assert worker.process.wait(PATIENCE_SECONDS) == 0

    messages = aws.client.receive_message(QueueUrl=worker.queue_url, MaxNumberOfMessages=10)["Messages"]
    assert sorted(json.loads(message["Body"])["headers"]["id"] for message in messages) == ["second", "third"]
    assert aws.depth(worker.queue_url) == 2
    assert worker.notes.read_text() == f"{worker.process.pid} first\n"


@pytest.mark.smoke
def test_message_is_readable_json_in_queue(aws: Aws) -> None:
    queue_url = aws.queue()
    make_app(queue_url).send_task("note", ("naïve 🐈",), {"seconds": 0})

    (message,) = aws.client.receive_message(QueueUrl=queue_url)["Messages"]

    envelope = json.loads(message["Body"])
    assert envelope["headers"]["task"] == "note"
    assert json.loads(envelope["body"])[:2] == [["naïve 🐈"], {"seconds": 0}]


@pytest.mark.smoke
def test_sending_takes_one_request(aws: Aws) -> None:
    """A role that may only send can send; kombu by itself asks for the queue's size first."""
    app = make_app(aws.queue())
    requests: list[str] = []
    with app.connection_for_write() as connection:
        events = connection.default_channel.sqs("jobs").meta.events
        events.register("before-call.sqs", lambda model, **_: requests.append(model.name))
        app.send_task("note", ("one",), connection=connection)
    assert requests == ["SendMessage"]
