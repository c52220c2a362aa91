"""The worker as it is first written: one loop, boto3 as it comes, the model loaded once.

python -m tests.bench.loop
"""

import json
import os
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
import cv2
import numpy as np
import requests

from tests.bench import latency  # noqa: F401 - importing it gives this process a region's latencies

REGION = os.environ["AWS_REGION"]


@cache
def model() -> Any:
    """Load the model, once per process."""
    from ultralytics import YOLO

    return YOLO(os.environ["YOLO_WEIGHTS"], task="detect")


@cache
def bucket() -> Any:
    return boto3.resource("s3", region_name=REGION).Bucket(os.environ["IMAGES_BUCKET"])  # noqa: TID251 - as it comes


@cache
def table() -> Any:
    resource = boto3.resource("dynamodb", region_name=REGION)  # noqa: TID251 - as it comes
    return resource.Table(os.environ["PREDICTIONS_TABLE"])


def answer(job: dict[str, Any]) -> None:
    """Do what a job asks for: get, predict, draw, put, store, call back."""
    prediction_id = job["prediction_id"]
    photo = bucket().Object(job["image_key"]).get()["Body"].read()
    image = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    result = model().predict(image, verbose=False)[0]
    boxed = cv2.imencode(".jpg", result.plot())[1].tobytes()
    bucket().put_object(Key=f"results/{prediction_id}.jpg", Body=boxed)
    labels = [
        {"class": result.names[int(label)], **dict(zip(("cx", "cy", "width", "height"), box, strict=True))}
        for label, box in zip(result.boxes.cls, _decimals(result.boxes.xywhn), strict=True)
    ]
    table().put_item(Item={"prediction_id": prediction_id, "chat_id": job["chat_id"], "labels": labels})
    requests.get(f"{os.environ['POLYBOT_URL']}/results", params={"predictionId": prediction_id}, timeout=60)


def _decimals(boxes: Any) -> list[list[Decimal]]:
    return [[Decimal(str(float(value))) for value in box] for box in boxes]


def main() -> None:
    """Answer jobs until killed."""
    sqs = boto3.client("sqs", region_name=REGION)  # noqa: TID251 - as it comes
    url = os.environ["JOBS_QUEUE_URL"]
    while True:
        reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=20)
        for message in reply.get("Messages", []):
            answer(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main()
