"""Items of photos that a worker has measured."""

from itertools import count
from typing import Any

from botsite import aws
from detection.record import items
from detection.record.schemas import Prediction, Status

_numbers = count()


def store(table: str, photos: int, **more: Any) -> None:
    """Store photos that succeeded, each newer than those before it; `more` are attributes of all of them."""
    for _ in range(photos):
        number = next(_numbers)
        created = f"2026-11-26T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
        item = items.write(Prediction(f"measured-{number}", 1, 1, "photos/x", status=Status.SUCCEEDED))
        aws.dynamodb().put_item(TableName=table, Item={**item, "created_at": created, **more})
