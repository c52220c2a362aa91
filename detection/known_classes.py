"""Tell sites what the model knows: a worker that has loaded it stores its labels, once, in an item of the table."""

from collections.abc import Collection

from django.conf import settings

from botsite import aws
from botsite.bot.words import language

_KEY = {"prediction_id": "model#classes"}
# DynamoDB takes 400 KB; no detector knows as much.
_AT_MOST = 5000


def store(model: str, labels: Collection[str]) -> None:
    """Store what the model that this process has loaded knows. Raise botocore's errors."""
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key=_KEY,
        UpdateExpression="SET loaded_model = :model, labels = :labels",
        ExpressionAttributeValues={":model": model, ":labels": list(labels)[:_AT_MOST]},
    )


def read() -> list[str]:
    """Return the labels of the model that was loaded last; those of the default model before any was."""
    item = aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=_KEY).get("Item", {})
    return [str(label) for label in item.get("labels", ())] or list(language.PLURALS)
