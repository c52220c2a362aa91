"""What a prediction looks like as a DynamoDB item. `Decimal` is made here and nowhere else: DynamoDB has no floats."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from .schemas import Delivery, Detection, Prediction, Status

_FRACTIONS = ("confidence", "cx", "cy", "width", "height")


def write(prediction: Prediction) -> dict[str, Any]:
    """Return the item of a prediction; what is not known yet is absent."""
    item = {key: value for key, value in asdict(prediction).items() if value is not None}
    return item | {"detections": [detection(box) for box in prediction.detections]}


def detection(box: Detection) -> dict[str, Any]:
    """Return one box as a map. Six digits place it within a thousandth of a pixel."""
    return {"label": box.label} | {name: Decimal(str(round(getattr(box, name), 6))) for name in _FRACTIONS}


def read(item: dict[str, Any]) -> Prediction:
    """Return the prediction of an item."""

    def number(name: str) -> int | None:
        return int(item[name]) if name in item else None

    return Prediction(
        prediction_id=item["prediction_id"],
        chat_id=int(item["chat_id"]),
        message_id=int(item["message_id"]),
        image_key=item["image_key"],
        status=Status(item["status"]),
        delivery=Delivery(item["delivery"]),
        attempts=int(item["attempts"]),
        created_at=item["created_at"],
        enqueued_at=item.get("enqueued_at"),
        started_at=item.get("started_at"),
        finished_at=item.get("finished_at"),
        delivered_at=item.get("delivered_at"),
        delivery_until=item.get("delivery_until"),
        model=item.get("model"),
        inference_ms=number("inference_ms"),
        error=item.get("error"),
        detections=tuple(
            Detection(box["label"], *(float(box[name]) for name in _FRACTIONS)) for box in item.get("detections", [])
        ),
    )
