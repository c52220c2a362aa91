"""Keep the loaded model's classes and default confidence in the table, where the worker stores them for sites."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from django.conf import settings

from botsite import aws, language
from detection.record.schemas import LEAST

_KEY = {"prediction_id": "model#classes"}
# DynamoDB takes 400 KB; no detector knows as much.
_AT_MOST = 5000


def store(model: str, labels: Collection[str], confidence: float = LEAST) -> None:
    """Store the classes and default confidence of the model that this process has loaded. Raise botocore's errors."""
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key=_KEY,
        UpdateExpression="SET loaded_model = :model, labels = :labels, confidence = :confidence",
        ExpressionAttributeValues={
            ":model": model,
            ":labels": list(labels)[:_AT_MOST],
            ":confidence": Decimal(str(confidence)),
        },
    )


def read() -> list[str]:
    """Return the labels of the last model loaded; those of the default model before that."""
    return [str(label) for label in _item().get("labels", ())] or list(language.PLURALS)


def confidence() -> float:
    """Return the default confidence of the last model loaded."""
    return float(_item().get("confidence", LEAST))


def _item() -> dict[str, Any]:
    return aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=_KEY).get("Item", {})
