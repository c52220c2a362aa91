"""Summarise the photos of the last minutes: one bounded query of an index, however many there are.

From the items, not from counters in CloudWatch: those are a minute late, and an emulator has none. 1000 items of the
index cost about 50 read units, or $0.000006.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from botsite import aws
from detection import items, timeline, times
from detection.schemas import Delivery, Status
from metrics import percentile

MINUTES = 30
_READ_AT_MOST = 1000
# The index is ordered by creation: a retried photo, which has waited only since then, is among the first.
_OLDEST_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Recent:
    """Photos of the last `minutes` (or fewer if there are too many to read).

    `by_minute` counts all, `failed_by_minute` those that failed, newest minute first; p50 and p95 are milliseconds from
    the update to the answer, of the `answered` photos.
    """

    minutes: float
    by_minute: tuple[int, ...]
    failed_by_minute: tuple[int, ...]
    answered: int
    failed: int
    undeliverable: int
    p50_ms: int | None
    p95_ms: int | None


def read(minutes: int = MINUTES, table: str = "") -> Recent:
    """Return the summary of the photos of the last minutes, in this process's own table unless another is named."""
    now = datetime.now(UTC)
    answer = aws.dynamodb().query(
        TableName=table or settings.PREDICTIONS_TABLE,
        IndexName="by_time",
        KeyConditionExpression="#kind = :photo AND created_at > :since",
        ExpressionAttributeNames={"#kind": items.KIND},
        ExpressionAttributeValues={":photo": items.PHOTO, ":since": times.text(times.now(-timedelta(minutes=minutes)))},
        ScanIndexForward=False,
        Limit=_READ_AT_MOST,
    )
    return summary(answer["Items"], now, whole="LastEvaluatedKey" not in answer, minutes=minutes)


def summary(found: Sequence[dict[str, Any]], now: datetime, whole: bool, minutes: float = MINUTES) -> Recent:
    """Return the summary of items, newest first; `whole` if they are all of the last minutes."""
    ages = [(now - when).total_seconds() / 60 for item in found if (when := times.parse(item["created_at"]))]
    minutes = minutes if whole or not ages else max(1.0, ages[-1])
    failed = [item for item in found if item.get("status") == Status.FAILED]
    waits = sorted(filter(None, map(_waited_ms, found)))
    return Recent(
        minutes=minutes,
        by_minute=_by_minute(found, now, minutes),
        failed_by_minute=_by_minute(failed, now, minutes),
        answered=sum(item.get("delivery") == Delivery.DELIVERED for item in found),
        failed=len(failed),
        undeliverable=sum(item.get("delivery") == Delivery.UNDELIVERABLE for item in found),
        p50_ms=percentile.of(waits, 50),
        p95_ms=percentile.of(waits, 95),
    )


def oldest_waiting_seconds(table: str = "") -> float | None:
    """Return how long the oldest photo has been waiting for a worker, or None if none is waiting.

    From the index by status: SQS offers the age of its oldest message only as a metric, minutes late. A photo that was
    started before and has no job yet was reopened just now: the index does not know when.
    """
    answer = aws.dynamodb().query(
        TableName=table or settings.PREDICTIONS_TABLE,
        IndexName="by_status",
        KeyConditionExpression="#status = :queued",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":queued": Status.QUEUED},
        Limit=_OLDEST_LOOKED_AT,
    )
    since = [
        times.parse(item.get("enqueued_at") or item["created_at"])
        for item in answer["Items"]
        if "enqueued_at" in item or "started_at" not in item
    ]
    known = [when for when in since if when]
    return max(0.0, (datetime.now(UTC) - min(known)).total_seconds()) if known else None


def _waited_ms(item: dict[str, Any]) -> int | None:
    if item.get("delivery") != Delivery.DELIVERED:
        return None
    received, delivered = item.get("received_at") or item["created_at"], item.get("delivered_at")
    return timeline.between_ms(times.parse(received), times.parse(delivered))


def _by_minute(found: Sequence[dict[str, Any]], now: datetime, minutes: float) -> tuple[int, ...]:
    stored = [when for item in found if (when := times.parse(item["created_at"]))]
    counts = Counter(max(0, int((now - when).total_seconds() // 60)) for when in stored)
    return tuple(counts[minute] for minute in range(math.ceil(minutes)))
