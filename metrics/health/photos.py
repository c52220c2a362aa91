"""Summarise the photos of a time: a bounded number of queries, however many photos there are.

From the items, not from counters in CloudWatch: those are a minute late, and an emulator has none. The newest photos
are all read. Of each span of time before them a few are, and tell how fast photos came and how long they took. What
failed is rare, and counted by an index of its own. 1000 items cost about 50 read units, or $0.000006.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from botsite import aws
from detection.record import items, queries, times
from detection.record.schemas import Delivery, Status
from metrics.health import slots
from metrics.health.slots import Slot

_READ_AT_MOST, _FAILURES_AT_MOST = 1000, 500
# Slots that are estimated together, and the photos that are read for it.
_TOGETHER, _SAMPLE = 3, 50


@dataclass(frozen=True, slots=True)
class Recent:
    """The photos of the last `seconds`, by slots, oldest first. `model` is the newest answer's.

    `failed` are failures of ours, `refused` files that are no photos; of these, and of `undeliverable` answers, there
    may be `more` than were counted. If `sampled`, there are too many photos to read: more than `photos`, and the older
    slots are estimates.
    """

    seconds: float
    slots: tuple[Slot, ...]
    photos: int
    last_minute: int
    sampled: bool = False
    failed: int = 0
    refused: int = 0
    undeliverable: int = 0
    more: bool = False
    model: str = ""

    @property
    def answered(self) -> int:
        """Return how many answered photos were read."""
        return sum(len(slot.waits) for slot in self.slots)

    def percentile(self, percent: float) -> int | None:
        """Return a percentile of the waits from the update to the answer, in milliseconds; None without answers."""
        return slots.percentile(self.slots, percent)


def read_photos(seconds: int = 3600, slot: int = 60, table: str = "") -> Recent:
    """Return the photos of the last `seconds`, in this process's own table unless another is named."""
    now = datetime.now(UTC)
    since = now - timedelta(seconds=seconds)
    newest, whole = _query(table, (items.KIND, items.PHOTO), since, now, _READ_AT_MOST)
    failures, all_failures = _query(table, ("status", Status.FAILED), since, now, _FAILURES_AT_MOST)
    failures = queries.with_reasons(failures, table)
    lost, all_lost = _query(table, ("delivery", Delivery.UNDELIVERABLE), since, now, _FAILURES_AT_MOST)
    found = summary(newest, failures, now, seconds, slot)
    if not whole:
        found = replace(found, slots=_with_samples(table, found.slots, newest), sampled=True)
    return replace(found, undeliverable=len(lost), more=not (all_failures and all_lost))


def summary(
    newest: Sequence[dict[str, Any]], failures: Sequence[dict[str, Any]], now: datetime, seconds: int, slot: int
) -> Recent:
    """Return the summary of items, each newest first."""
    ages = [(now - when).total_seconds() for item in newest if (when := times.parse(item["created_at"]))]
    refused = sum(map(items.refused, failures))
    return Recent(
        seconds=seconds,
        slots=slots.cut(newest, failures, now.timestamp(), seconds, slot),
        photos=len(ages),
        last_minute=sum(age <= 60 for age in ages),
        failed=len(failures) - refused,
        refused=refused,
        model=next((str(item["model"]) for item in newest if item.get("model")), ""),
    )


def _with_samples(table: str, cut: Sequence[Slot], newest: Sequence[dict[str, Any]]) -> tuple[Slot, ...]:
    """Return the slots; those before the oldest photo that was read are estimated."""
    read_from = min(when.timestamp() for item in newest if (when := times.parse(item["created_at"])))
    older = [slot for slot in cut if slot.at < read_from]
    estimated = (_sample(table, older[first : first + _TOGETHER]) for first in range(0, len(older), _TOGETHER))
    return (*estimated, *cut[len(older) :])


def _sample(table: str, cut: Sequence[Slot]) -> Slot:
    slot = slots.joined(cut)
    start, end = (datetime.fromtimestamp(at, UTC) for at in (slot.at, slot.at + slot.seconds))
    found, whole = _query(table, (items.KIND, items.PHOTO), start, end, _SAMPLE)
    if whole:
        return replace(slot, photos=len(found), waits=slots.waits(found))
    photos, waits = slots.estimate(found, slot.at, slot.at + slot.seconds)
    return replace(slot, photos=photos, waits=waits)


_INDEXES = {items.KIND: "by_time", "status": "by_status", "delivery": "by_delivery"}


def _query(
    table: str, key: tuple[str, str], since: datetime, until: datetime, at_most: int
) -> tuple[list[dict[str, Any]], bool]:
    """Return the newest items of an index between two times, and whether these are all."""
    name, value = key
    answer = aws.dynamodb().query(
        TableName=table or settings.PREDICTIONS_TABLE,
        IndexName=_INDEXES[name],
        KeyConditionExpression="#key = :value AND created_at BETWEEN :since AND :until",
        ExpressionAttributeNames={"#key": name},
        ExpressionAttributeValues={":value": value, ":since": times.text(since), ":until": times.text(until)},
        ScanIndexForward=False,
        Limit=at_most,
    )
    return answer["Items"], "LastEvaluatedKey" not in answer
