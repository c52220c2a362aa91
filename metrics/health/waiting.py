"""Find out how long people have been waiting, from a few items of each index of the table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from botsite import aws
from detection.record import times
from detection.record.schemas import Delivery, Status

# An index is ordered by creation: a retried photo, which has waited only since then, is among the first.
_LOOKED_AT = 20
# The promise: whoever waits longer than this is owed an answer. What is younger may be under way: a machine boots,
# Telegram is slow, an answer is tried again.
LATE = timedelta(hours=1)
_FINISHED = (Status.SUCCEEDED, Status.FAILED)
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The longest current wait for a worker and for an answer; None if nothing is waiting.

    `overdue` is how many of the oldest photos have waited for an answer for longer than LATE.
    """

    worker_seconds: float | None
    answer_seconds: float | None
    overdue: int = 0


def read_waits(table: str = "") -> Waiting:
    """Return how long photos have been waiting: SQS offers the age of its oldest message only as a metric, late."""
    queued = [_since(item) for item in oldest(table, "status", Status.QUEUED)]
    processed = [_since(item) for item in oldest(table, "status", Status.PROCESSING)]
    unsent = [item for state in (Delivery.PENDING, Delivery.DELIVERING) for item in oldest(table, "delivery", state)]
    everybody = [when for when in (*queued, *processed, *map(_since_first, unsent)) if when]
    overdue = sum(datetime.now(UTC) - when > LATE for when in everybody)
    return Waiting(_longest(queued), _longest(everybody), overdue)


def _since(item: Item) -> datetime | None:
    """Return since when an unfinished photo waits, None if that is unknown.

    A queued one that was started before and has no job yet was reopened just now: the index does not know when.
    """
    if "enqueued_at" in item:
        return times.parse(item["enqueued_at"])
    if "started_at" in item:
        return times.parse(item["started_at"]) if item["status"] == Status.PROCESSING else None
    return times.parse(item["created_at"])


def _since_first(item: Item) -> datetime | None:
    """Return since when a finished photo waits for its answer, None if it has been answered and is sent again."""
    if item.get("status") not in _FINISHED or "delivered_at" in item:
        return None
    # A retried photo has waited since then, not since it came.
    retried = int(item.get("attempts", 0)) > 1
    return times.parse(item.get("started_at") if retried else item["created_at"])


def _longest(since: Iterable[datetime | None]) -> float | None:
    known = [when for when in since if when]
    return max(0.0, (datetime.now(UTC) - min(known)).total_seconds()) if known else None


def oldest(table: str, key: str, value: str, at_most: int = _LOOKED_AT) -> list[dict[str, Any]]:
    """Return the items that came first of an index, in this process's own table unless another is named."""
    found: list[dict[str, Any]] = aws.dynamodb().query(
        TableName=table or settings.PREDICTIONS_TABLE,
        IndexName=f"by_{key}",
        KeyConditionExpression="#key = :value",
        ExpressionAttributeNames={"#key": key},
        ExpressionAttributeValues={":value": value},
        Limit=at_most,
    )["Items"]
    return found
