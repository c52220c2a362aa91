"""Tell sites what the model knows, and how sure it has to be: the worker that loads it stores it in the table."""

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
    """Store what the model that this process has loaded knows, and its default confidence. Raise botocore's errors."""
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
    """Return the labels of the model that was loaded last; those of the default model before any was."""
    return [str(label) for label in _item().get("labels", ())] or list(language.PLURALS)


def confidence() -> float:
    """Return from which confidence on the model that was loaded last shows what it finds, unless somebody chose."""
    return float(_item().get("confidence", LEAST))


def _item() -> dict[str, Any]:
    return aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=_KEY).get("Item", {})
