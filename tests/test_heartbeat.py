"""The heartbeat keeps every message in work hidden, even if one is malformed or the heartbeat itself fails."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from botsite import aws
from botsite.sqs.heartbeat import Heartbeat
from botsite.sqs.options import Options
from tests.support.emulators import ministack
from tests.support.processes import PATIENCE_SECONDS, wait_until

LEFT_ALONE = "left alone"


class Queue:
    """A queue with a long visibility timeout, whose first messages were received with a short one."""

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
        """Return the messages that come back first, together."""
        return [message["Body"] for message in wait_until(self.receive)]


@pytest.fixture
def queue() -> Iterator[Queue]:
    with ministack():
        yield Queue()


@pytest.mark.parametrize("handle", [None, 5, "", "no handle"])
def test_a_malformed_handle_does_not_keep_others_from_being_extended(queue: Queue, handle: Any) -> None:
    Heartbeat(aws.client("sqs"), lambda: {queue.url: [handle, *queue.in_work]}, [queue.url], Options()).beat()
    assert queue.comes_back() == [LEFT_ALONE]


def test_the_heartbeat_survives_an_exception(queue: Queue) -> None:
    tries = iter([RuntimeError("dictionary changed size during iteration"), {queue.url: queue.in_work}])

    def held() -> Any:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    heartbeat = Heartbeat(aws.client("sqs"), held, [queue.url], Options())
    heartbeat.start()
    assert queue.comes_back() == [LEFT_ALONE]
    heartbeat.stop()
    heartbeat.join(PATIENCE_SECONDS)
    assert not heartbeat.is_alive()
