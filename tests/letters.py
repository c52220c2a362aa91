"""Jobs that have become dead letters."""

import json
from uuid import uuid4

from botsite import aws
from detection import dead_letters
from detection.schemas import Prediction


def bury(prediction: Prediction) -> str:
    """Make the prediction's job, as Celery sends it, a dead letter; return its message id."""
    arguments = {"prediction_id": prediction.prediction_id, "image_key": prediction.image_key, "chat_id": 1}
    return put(
        json.dumps(
            {
                "body": json.dumps([[], arguments, {}]),
                "headers": {"task": "detection.detect", "id": uuid4().hex},
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "properties": {"delivery_info": {"exchange": "", "routing_key": "jobs"}, "body_encoding": None},
            }
        )
    )


def put(body: str) -> str:
    """Put a text among the dead letters; return its message id."""
    answer = aws.client("sqs").send_message(QueueUrl=dead_letters.queue_url(), MessageBody=body)
    return str(answer["MessageId"])


def clear() -> None:
    """Delete all dead letters."""
    aws.client("sqs").purge_queue(QueueUrl=dead_letters.queue_url())
