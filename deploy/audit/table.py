"""Read items of the table by their ids, all of them: what is left unread would count as gone."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings

from botsite import aws

# DynamoDB takes so many keys in one request.
_AT_ONCE = 100
_BUSY_SECONDS = 1.0


def find_there(ids: Sequence[str]) -> set[str]:
    """Return those of the ids that have an item."""
    return {item["prediction_id"] for item in read_items(ids, "status")}


def read_items(ids: Sequence[str], *names: str) -> Iterator[dict[str, Any]]:
    """Yield the items that exist, or some of their attributes."""
    wanted = {f"#{name}": name for name in ("prediction_id", *names)}
    only = {"ProjectionExpression": ", ".join(wanted), "ExpressionAttributeNames": wanted} if names else {}
    keys = [{"prediction_id": each} for each in dict.fromkeys(ids)]
    for start in range(0, len(keys), _AT_ONCE):
        left: dict[str, Any] = {settings.PREDICTIONS_TABLE: {"Keys": keys[start : start + _AT_ONCE], **only}}
        while left:
            answer = aws.dynamodb().batch_get_item(RequestItems=left)
            yield from answer["Responses"].get(settings.PREDICTIONS_TABLE, ())
            if left := answer.get("UnprocessedKeys") or {}:
                aws.pause(_BUSY_SECONDS)
