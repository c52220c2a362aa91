"""Messages that Celery did not send run the task that is named for their queue."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .. import Options, raw
from ..letters import Letters
from .support.app import make_app
from .support.processes import wait_until
from .support.worker import Aws, Worker, job, running_worker

EVENT = {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "a.jpg"}}}]}


@pytest.fixture(scope="module")
def worker(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(aws, tmp_path_factory.mktemp("raw"), aws.url, sqs={"raw_tasks": {"jobs": "tell"}}) as worker:
        yield worker


def send(aws: Aws, worker: Worker, body: str) -> str:
    """Send a message as others than Celery do; return its id."""
    return str(aws.client.send_message(QueueUrl=worker.queue_url, MessageBody=body)["MessageId"])


@pytest.mark.slow
@pytest.mark.parametrize("body", [json.dumps(EVENT), "plain text", "aGVsbG8=", "[1, 2", '{"body": "b", "headers": {}}'])
def test_message_of_others_runs_the_task_of_its_queue(aws: Aws, worker: Worker, body: str) -> None:
    identity = send(aws, worker, body)
    said = f"{identity} {json.dumps(raw.read(body))}"
    wait_until(lambda: worker.runs(said))
    wait_until(lambda: not aws.depth(worker.queue_url))


@pytest.mark.slow
def test_celerys_own_messages_run_beside_them(aws: Aws, worker: Worker) -> None:
    send(aws, worker, json.dumps(EVENT))
    assert worker.works()
    send(aws, worker, json.dumps(job("by hand")))
    wait_until(lambda: worker.runs("by hand"))


@pytest.mark.smoke
def test_event_becomes_message_of_celery() -> None:
    message: dict[str, Any] = {"MessageId": "1-2", "Body": json.dumps(EVENT), "ReceiptHandle": "handle"}
    made = raw.as_task(message, message["Body"].encode(), "tell")
    payload = json.loads(made["Body"])
    assert (payload["headers"]["task"], payload["headers"]["id"]) == ("tell", "1-2")
    assert json.loads(payload["body"]) == [[EVENT], {}, {}]
    assert raw.as_task(made, made["Body"].encode(), "other") == made


@pytest.mark.parametrize(("raw_tasks", "problem"), [({"jobs": "note"}, None), ({"jobs": "gone"}, "unknown task")])
def test_dead_letter_of_others_is_told_from_garbage(aws: Aws, raw_tasks: dict[str, str], problem: str | None) -> None:
    queue_url = aws.queue()
    aws.client.send_message(QueueUrl=aws.dead_letters_of(queue_url), MessageBody=json.dumps(EVENT))
    app = make_app(queue_url, Options(raw_tasks=raw_tasks))
    with app.connection_for_read() as connection:
        letters = Letters(app, connection.default_channel, "jobs")
        assert [letter.problem for letter in letters.read()] == [problem]


def test_body_that_is_nested_too_deeply_is_text(tmp_path: Path) -> None:
    deep = "[" * 100_000
    assert raw.read(deep) == deep
