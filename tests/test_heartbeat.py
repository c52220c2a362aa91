"""The heartbeat keeps every message in work hidden, whatever happens to one of them or to itself."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from botsite import aws
from botsite.sqs.heartbeat import Heartbeat
from tests.support.emulators import ministack
from tests.support.processes import PATIENCE_SECONDS, wait_until

LEFT_ALONE = "left alone"


class Queue:
    """A queue that hides messages for long, but has handed out its first ones for a short time."""

    def __init__(self) -> None:
        self._sqs = aws.client("sqs")
        attributes = {"VisibilityTimeout": "600"}
        self.url = self._sqs.create_queue(QueueName=uuid4().hex, Attributes=attributes)["QueueUrl"]
        for text in ("one", "two", LEFT_ALONE):
            self._sqs.send_message(QueueUrl=self.url, MessageBody=text)
        received = self.receive(VisibilityTimeout=5)
        self.in_work = [message["ReceiptHandle"] for message in received if message["Body"] != LEFT_ALONE]

    def receive(self, **options: int) -> list[dict[str, Any]]:
        reply = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, **options)
        return list(reply.get("Messages", []))

    def comes_back(self) -> list[str]:
        """Return the messages that come back first, and at once with each other."""
        return [message["Body"] for message in wait_until(self.receive)]


@pytest.fixture
def queue() -> Iterator[Queue]:
    with ministack():
        yield Queue()


@pytest.mark.parametrize("handle", [None, 5, "", "no handle"])
def test_a_malformed_handle_takes_no_extension_from_the_others(queue: Queue, handle: Any) -> None:
    Heartbeat(lambda: {queue.url: [handle, *queue.in_work]}, [queue.url]).beat()
    assert queue.comes_back() == [LEFT_ALONE]


def test_the_heartbeat_outlives_an_exception_and_beats_soon_again(queue: Queue) -> None:
    tries = iter([RuntimeError("dictionary changed size during iteration"), {queue.url: queue.in_work}])

    def held() -> Any:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    heartbeat = Heartbeat(held, [queue.url])
    heartbeat.start()
    assert queue.comes_back() == [LEFT_ALONE]
    heartbeat.stop()
    heartbeat.join(PATIENCE_SECONDS)
    assert not heartbeat.is_alive()
