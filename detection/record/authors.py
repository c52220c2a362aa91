"""Find a guest's photos by the person who sent them, so that they can delete them too.

Such a photo is kept with the asker's own chat, so no index leads from its author to it. An item of its own does:
`author#<prediction_id>`. In a group that the bot is in, the photo's item names both, and the chat leads to it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings

from botsite import aws
from detection.record import items, predictions, times
from detection.record.schemas import Prediction

_KEY = "author#"


def key(prediction_id: str) -> str:
    """Return the key of the item that leads to a photo."""
    return _KEY + prediction_id


def note(prediction: Prediction) -> None:
    """Store the item that leads to a photo somebody else sent; call it before the photo's own item is stored."""
    if prediction.author_id is None:
        return
    now = times.now()
    item = {
        "prediction_id": key(prediction.prediction_id),
        items.KIND: _kind(prediction.author_id),
        "created_at": times.text(now),
        "expires_at": int((now + timedelta(days=settings.PREDICTIONS_KEPT_DAYS)).timestamp()),
    }
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=item)


def pages(author_id: int, until: datetime, size: int) -> Iterator[list[str]]:
    """Yield the ids of an author's photos, up to `size` at a time, oldest first; then delete what leads to them."""
    found = (
        aws.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=settings.PREDICTIONS_TABLE,
            IndexName="by_time",
            KeyConditionExpression="#kind = :kind AND created_at <= :until",
            ProjectionExpression="prediction_id",
            ExpressionAttributeNames={"#kind": items.KIND},
            ExpressionAttributeValues=items.plain({":kind": _kind(author_id), ":until": until}),
            PaginationConfig={"PageSize": size},
        )
    )
    for page in found:
        if ids := [item["prediction_id"].removeprefix(_KEY) for item in page["Items"]]:
            yield ids
        for each in ids:
            predictions.delete(key(each))


def _kind(author_id: int) -> str:
    return f"{_KEY}{author_id}"
