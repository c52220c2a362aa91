"""Messages of a group: in order on a FIFO queue, marked for SQS's fairness on a standard one; and `Reject`."""

from pathlib import Path

import pytest

from .support.app import make_app
from .support.processes import wait_until
from .support.worker import Aws, running_worker

pytestmark = pytest.mark.slow


@pytest.mark.smoke
def test_group_is_sent_to_standard_queue(aws: Aws) -> None:
    url = aws.queue()
    make_app(url).send_task("note", ("one",), MessageGroupId="tenant-7")
    names = ["MessageGroupId"]
    (message,) = aws.client.receive_message(QueueUrl=url, MessageSystemAttributeNames=names)["Messages"]
    assert message["Attributes"]["MessageGroupId"] == "tenant-7"


def test_fifo_group_keeps_its_order(aws: Aws, tmp_path: Path) -> None:
    url = aws.queue(FifoQueue="true")
    with (
        running_worker(aws, tmp_path, aws.url, queues=url) as worker,
        running_worker(aws, tmp_path, aws.url, queues=url),
    ):
        for number in range(12):
            worker.app.send_task("note", (f"in order {number}",), queue="jobs.fifo", MessageGroupId="one")
        wait_until(lambda: "in order 11" in worker.notes.read_text())
    notes = [line.partition(" ")[2] for line in worker.notes.read_text().splitlines()]
    assert notes == [f"in order {number}" for number in range(12)]


def test_task_sent_twice_to_fifo_queue_runs_once(aws: Aws, tmp_path: Path) -> None:
    with running_worker(aws, tmp_path, aws.url, queues=aws.queue(FifoQueue="true")) as worker:
        for text in ("same", "same", "last"):
            worker.app.send_task("note", (text,), queue="jobs.fifo", task_id=text)
        wait_until(lambda: worker.runs("last"))
        assert worker.runs("same") == 1


def test_rejected_task_becomes_dead_letter(aws: Aws, tmp_path: Path) -> None:
    with running_worker(aws, tmp_path, aws.url) as worker:
        dead_letters = aws.dead_letters_of(worker.queue_url)
        worker.app.send_task("reject")
        wait_until(lambda: aws.depth(dead_letters) == 1)
        assert worker.works()
