"""The queue of jobs and its dead letters, as the cells see them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from botsite import aws
from detection.work import dead_letters

_BATCH = 10


def waiting() -> int:
    """Return how many jobs there are, those in work among them."""
    return _depth(settings.JOBS_QUEUE_URL)


def dead() -> int:
    """Return how many jobs the queue has given up."""
    return _depth(dead_letters.queue_url())


def bury() -> None:
    """Make dead letters of all jobs that wait, as SQS does with what is received too often."""
    sqs, queue = aws.client("sqs"), settings.JOBS_QUEUE_URL
    request = {"QueueUrl": queue, "MaxNumberOfMessages": _BATCH, "WaitTimeSeconds": 1}
    while messages := sqs.receive_message(**request).get("Messages", []):
        bodies = [{"Id": each["MessageId"], "MessageBody": each["Body"]} for each in messages]
        handles = [{"Id": each["MessageId"], "ReceiptHandle": each["ReceiptHandle"]} for each in messages]
        sqs.send_message_batch(QueueUrl=dead_letters.queue_url(), Entries=bodies)
        sqs.delete_message_batch(QueueUrl=queue, Entries=handles)


@contextmanager
def few_receives() -> Iterator[None]:
    """Have a job be a dead letter after three receives within the block: the deployed number is a last resort."""
    sqs, queue = aws.client("sqs"), settings.JOBS_QUEUE_URL
    deployed = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]
    few = json.dumps(json.loads(deployed["RedrivePolicy"]) | {"maxReceiveCount": 3})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": few})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=deployed)


def forget_dead() -> None:
    """Leave no dead letter to the next cell."""
    aws.client("sqs").purge_queue(QueueUrl=dead_letters.queue_url())


def _depth(queue_url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
    return sum(int(value) for value in answer["Attributes"].values())
