"""The heartbeat keeps every message in work hidden, even if one is malformed or the heartbeat itself fails."""

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from ..heartbeat import ONCE, Heartbeat
from ..options import Options
from .support.processes import PATIENCE_SECONDS, wait_until
from .support.worker import Aws

LEFT_ALONE = "left alone"


class Queue:
    """A queue with a long visibility timeout, whose first messages were received with a short one."""

    def __init__(self, client: Any, hidden_seconds: int = 5) -> None:
        self._sqs = client
        attributes = {"VisibilityTimeout": "600"}
        self.url = self._sqs.create_queue(QueueName=uuid4().hex, Attributes=attributes)["QueueUrl"]
        for text in ("one", "two", LEFT_ALONE):
            self._sqs.send_message(QueueUrl=self.url, MessageBody=text)
        received = self.receive(VisibilityTimeout=hidden_seconds)
        self.in_work = [message["ReceiptHandle"] for message in received if message["Body"] != LEFT_ALONE]

    def receive(self, **options: int) -> list[dict[str, Any]]:
        reply = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, **options)
        return list(reply.get("Messages", []))

    def comes_back(self) -> list[str]:
        """Return the messages that come back first, together."""
        return [message["Body"] for message in wait_until(self.receive)]


@pytest.fixture
def queue(aws: Aws) -> Queue:
    return Queue(aws.client)


@pytest.mark.parametrize("handle", [None, 5, "", "no handle"])
def test_malformed_handle_does_not_block_others(aws: Aws, queue: Queue, handle: Any) -> None:
    Heartbeat({queue.url: aws.client}, lambda: {queue.url: [handle, *queue.in_work]}, Options()).beat()
    assert queue.comes_back() == [LEFT_ALONE]


def test_heartbeat_survives_exception(aws: Aws, queue: Queue) -> None:
    tries = iter([RuntimeError("dictionary changed size during iteration"), {queue.url: queue.in_work}])

    def held() -> Any:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    heartbeat = Heartbeat({queue.url: aws.client}, held, Options())
    heartbeat.start()
    assert queue.comes_back() == [LEFT_ALONE]
    heartbeat.stop()
    heartbeat.join(PATIENCE_SECONDS)
    assert not heartbeat.is_alive()


def test_failed_extension_is_not_repeated_after_release(aws: Aws, queue: Queue) -> None:
    sqs, in_work = aws.new_client(config=ONCE), list(queue.in_work)

    def release(**_: object) -> None:
        """Release everything, like a worker that is told to end, while the first request is lost."""
        while in_work:
            aws.client.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=in_work.pop(), VisibilityTimeout=0)
            if not in_work:
                raise ConnectionClosedError(endpoint_url=queue.url)

    sqs.meta.events.register("before-send.sqs.ChangeMessageVisibilityBatch", release)
    assert not Heartbeat({queue.url: sqs}, lambda: {queue.url: queue.in_work}, Options()).beat()
    assert sorted(queue.comes_back()) == ["one", "two"]


def test_configured_visibility_timeout_is_used_until_known(aws: Aws) -> None:
    queue, sqs = Queue(aws.client, hidden_seconds=300), aws.new_client()
    refusal = ClientError({"Error": {"Code": "AccessDenied"}}, "GetQueueAttributes")
    sqs.meta.events.register("before-call.sqs.GetQueueAttributes", partial(_refuse, refusal))
    Heartbeat({queue.url: sqs}, lambda: {queue.url: queue.in_work}, Options(visibility_timeout=1)).beat()
    assert LEFT_ALONE not in queue.comes_back()


def _refuse(refusal: Exception, **_: object) -> None:
    raise refusal


def test_overlong_job_is_no_longer_hidden(aws: Aws, queue: Queue) -> None:
    options = Options(longest_job_seconds=0)
    Heartbeat({queue.url: aws.client}, lambda: {queue.url: queue.in_work}, options).beat()
    assert sorted(queue.comes_back()) == sorted([LEFT_ALONE, "one", "two"])
