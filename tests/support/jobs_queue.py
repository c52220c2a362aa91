"""A queue of jobs for the workers of one test."""

import json
from uuid import uuid4

from botsite import aws

VISIBILITY_SECONDS = 3
MAX_RECEIVES = 3


class Queue:
    """A jobs queue with a short visibility timeout and its dead-letter queue."""

    def __init__(self) -> None:
        self._sqs = aws.client("sqs")
        name = f"life-{uuid4().hex[:8]}"
        self.dead_url = self._sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self.dead_url, AttributeNames=["QueueArn"])
        redrive = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": MAX_RECEIVES}
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS), "RedrivePolicy": json.dumps(redrive)}
        self.url = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def send(self, task: str, **arguments: object) -> None:
        """Send a job as Celery does."""
        self._sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(body(task, **arguments)))

    def depth(self, url: str) -> int:
        """Return how many messages are in a queue, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())


def body(task: str, **arguments: object) -> dict[str, object]:
    """Return the body of a job's message, as Celery makes it."""
    return {
        "body": json.dumps([[], arguments, {}]),
        "headers": {"task": task, "id": uuid4().hex},
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "properties": {"delivery_info": {"exchange": "", "routing_key": "metrics"}},
    }
