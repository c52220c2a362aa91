"""The heartbeat keeps every message in work hidden, even if one is malformed or the heartbeat itself fails."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from botsite import aws
from botsite.sqs.heartbeat import Heartbeat
from botsite.sqs.options import Options
from deploy.local.processes import PATIENCE_SECONDS
from tests.support.cases import slow_after
from tests.support.emulators import ministack
from tests.support.processes import wait_until

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


@pytest.mark.parametrize("handle", slow_after(1, ["no handle", None, 5, ""]))
def test_malformed_handle_does_not_block_others(queue: Queue, handle: Any) -> None:
    Heartbeat(aws.client("sqs"), lambda: {queue.url: [handle, *queue.in_work]}, [queue.url], Options()).beat()
    assert queue.comes_back() == [LEFT_ALONE]


@pytest.mark.slow
def test_heartbeat_survives_exception(queue: Queue) -> None:
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


def test_configured_visibility_timeout_is_used_until_known(queue: Queue) -> None:
    sqs = aws.client("sqs")
    refusal = ClientError({"Error": {"Code": "AccessDenied"}}, "GetQueueAttributes")
    sqs.meta.events.register("before-call.sqs.GetQueueAttributes", partial(_refuse, refusal))
    Heartbeat(sqs, lambda: {queue.url: queue.in_work}, [queue.url], Options(visibility_timeout=1)).beat()
    assert LEFT_ALONE not in queue.comes_back()


def _refuse(refusal: Exception, **_: object) -> None:
    raise refusal


def test_overlong_job_is_no_longer_hidden(queue: Queue) -> None:
    options = Options(longest_job_seconds=0)
    Heartbeat(aws.client("sqs"), lambda: {queue.url: queue.in_work}, [queue.url], options).beat()
    assert sorted(queue.comes_back()) == sorted([LEFT_ALONE, "one", "two"])
