"""Tasks for later run then: not earlier, held by SQS and not by a worker, and never given up."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .. import later
from .support.app import make_app
from .support.processes import wait_until
from .support.worker import Aws, Worker, job, running_worker

pytestmark = pytest.mark.slow


def times(worker: Worker, text: str) -> list[float]:
    """Return when a task has noted this."""
    return [float(found) for found in re.findall(rf"{text} at ([\d.]+)", worker.notes.read_text())]


@pytest.fixture(scope="module")
def worker(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Start a worker that takes a second for the longest delay of SQS; whoever sends takes 900 s."""
    folder = tmp_path_factory.mktemp("later")
    with running_worker(aws, folder, aws.url, sqs={"longest_delay_seconds": 1}) as worker:
        yield worker


@pytest.mark.smoke
def test_countdown_is_delay_of_sqs(aws: Aws) -> None:
    app = make_app(aws.queue())
    requests: list[dict[str, Any]] = []
    with app.connection_for_write() as connection:
        events = connection.default_channel.sqs("jobs").meta.events
        events.register("before-parameter-build.sqs.SendMessage", lambda params, **_: requests.append(dict(params)))
        for options in ({}, {"countdown": 40}, {"countdown": 5000}, {"delay_seconds": 7}):
            app.send_task("note", ("one",), connection=connection, **options)
        tomorrow = datetime.now(UTC) + timedelta(minutes=10)
        app.send_task("note", ("one",), connection=connection, eta=tomorrow)
    assert [request.get("DelaySeconds") for request in requests] == [None, 40, 900, 7, 600]


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("queue", "options", "why"),
    [
        ("jobs.fifo", {"countdown": 5}, "FIFO queue, and SQS delays none"),
        ("jobs", {"delay_seconds": 901}, "use countdown"),
        ("jobs", {"countdown": 400 * 86_400}, "more than 366 days away"),
    ],
)
def test_impossible_delay_is_refused(aws: Aws, queue: str, options: dict[str, Any], why: str) -> None:
    app = make_app(aws.url, broker_transport_options={"predefined_queues": {queue: {"url": f"{aws.url}/{queue}"}}})
    app.conf.task_queues = None
    app.conf.task_create_missing_queues = True
    with pytest.raises(ValueError, match=why):
        app.send_task("note", ("one",), queue=queue, **options)


def test_task_runs_once_and_not_before_its_time(worker: Worker) -> None:
    due = time.time() + 4
    worker.app.send_task("note_time", ("short",), eta=datetime.fromtimestamp(due, UTC))
    wait_until(lambda: times(worker, "short"))
    assert [moment >= due for moment in times(worker, "short")] == [True]


def test_delay_longer_than_sqs_allows_is_sent_again_until_due(aws: Aws, worker: Worker) -> None:
    # As another program has sent it: due in four of the worker's longest delays, and received at once.
    due = time.time() + 4
    headers = {"task": "note_time", "id": "long", "eta": datetime.fromtimestamp(due, UTC).isoformat()}
    dead_letters = aws.dead_letters_of(worker.queue_url)
    body = job("long") | {"headers": headers}
    aws.client.send_message(QueueUrl=worker.queue_url, MessageBody=json.dumps(body))
    wait_until(lambda: times(worker, "long"))
    assert [moment >= due for moment in times(worker, "long")] == [True]
    # It was received several times, and a message of this queue may be once.
    wait_until(lambda: not aws.depth(worker.queue_url))
    assert not aws.depth(dead_letters)


def test_expired_task_does_not_run(worker: Worker) -> None:
    worker.app.send_task("note", ("expired",), countdown=3, expires=1)
    worker.app.send_task("note", ("after",), countdown=4)
    wait_until(lambda: worker.runs("after"))
    assert not worker.runs("expired")


def test_retry_comes_later(worker: Worker) -> None:
    worker.app.send_task("try_again", (2,))
    wait_until(lambda: times(worker, "try 2"))
    first, second, third = (times(worker, f"try {number}")[0] for number in range(3))
    assert second - first >= 2
    assert third - second >= 2


def test_automatic_retry_backs_off(worker: Worker) -> None:
    worker.app.send_task("back_off")
    wait_until(lambda: worker.runs("back off 2"))
    assert [worker.runs(f"back off {number}") for number in range(3)] == [1, 1, 1]


def test_death_between_sending_and_deleting_doubles_but_never_loses(aws: Aws, tmp_path: Path) -> None:
    with aws.start_proxy():
        aws.heal()
        aws.fail("DeleteMessageBatch", error={"code": "InternalFailure", "status": 500})
        with running_worker(aws, tmp_path, aws.proxy, sqs={"longest_delay_seconds": 30}) as worker:
            eta = datetime.fromtimestamp(time.time() + 20, UTC).isoformat()
            body = job("twice") | {"headers": {"task": "note", "id": "twice", "eta": eta}}
            aws.client.send_message(QueueUrl=worker.queue_url, MessageBody=json.dumps(body))
            wait_until(lambda: aws.depth(worker.queue_url, "ApproximateNumberOfMessagesDelayed"))
            worker.process.kill()
            worker.process.wait()
    # The copy, and the message itself.
    assert aws.depth(worker.queue_url) == 1
    assert aws.depth(worker.queue_url, "ApproximateNumberOfMessagesDelayed") == 1


def test_naive_eta_is_in_the_apps_time_zone() -> None:
    now = datetime.now(UTC)
    assert later.due_at({"eta": now.isoformat()}) == now.timestamp()
    assert later.due_at({"eta": now.replace(tzinfo=None).isoformat()}) == now.timestamp()
    assert later.due_at({}) == 0
