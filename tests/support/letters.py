"""Jobs that have become dead letters."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from botsite import aws
from detection.record.schemas import Prediction
from detection.work import dead_letters
from tests.support.processes import wait_until


def bury(prediction: Prediction) -> str:
    """Make the prediction's job, as Celery sends it, a dead letter; return its message id."""
    return put(body({"prediction_id": prediction.prediction_id, "image_key": prediction.image_key, "chat_id": 1}))


def body(arguments: dict[str, Any]) -> str:
    """Return a job of these arguments as Celery sends it."""
    return json.dumps(
        {
            "body": json.dumps([[], arguments, {}]),
            "headers": {"task": "detection.detect", "id": uuid4().hex},
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "properties": {"delivery_info": {"exchange": "", "routing_key": "jobs"}, "body_encoding": None},
        }
    )


def put(body: str) -> str:
    """Put a text among the dead letters; return its message id."""
    answer = aws.client("sqs").send_message(QueueUrl=dead_letters.queue_url(), MessageBody=body)
    return str(answer["MessageId"])


def put_many(bodies: Sequence[str]) -> None:
    """Put texts among the dead letters."""
    for start in range(0, len(bodies), 10):
        batch = [{"Id": str(number), "MessageBody": text} for number, text in enumerate(bodies[start : start + 10])]
        aws.client("sqs").send_message_batch(QueueUrl=dead_letters.queue_url(), Entries=batch)


def wait_until_readable() -> None:
    """Wait until a dead letter can be read: a reader that was ended may have taken the newest along for a while."""
    wait_until(dead_letters.look)


def clear() -> None:
    """Delete all dead letters."""
    aws.client("sqs").purge_queue(QueueUrl=dead_letters.queue_url())
