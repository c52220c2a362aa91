"""Cut photos into slots of time, and estimate the slots of which only some photos were read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detection.record import items, timeline, times
from detection.record.schemas import Delivery

Item = Mapping[str, Any]
# The newest slot has only begun: with less of it, one photo would look like many a minute.
_SHORTEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Wait:
    """A person's wait from the update to the answer, and the number of photos that it stands for."""

    milliseconds: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Slot:
    """The photos that came from `at` on (epoch seconds), for `seconds`. `photos` may be an estimate.

    `failed` are failures of ours, `refused` files that are no photos.
    """

    at: float
    seconds: float
    photos: float = 0.0
    waits: tuple[Wait, ...] = ()
    failed: int = 0
    refused: int = 0

    def per_minute(self, count: float) -> float:
        """Return how many a minute a count of this slot is."""
        return round(60 * count / max(self.seconds, _SHORTEST_SECONDS), 1)


def cut(found: Sequence[Item], failures: Sequence[Item], now: float, seconds: int, length: int) -> tuple[Slot, ...]:
    """Return the slots of the last `seconds`, oldest first; each begins at a multiple of its length."""
    photos, failed = _by_slot(found, length), _by_slot(failures, length)
    first, last = int((now - seconds) // length), int(now // length)
    return tuple(
        Slot(
            at=number * length,
            seconds=min(length, now - number * length),
            photos=len(photos[number]),
            waits=waits(photos[number]),
            failed=sum(not items.refused(item) for item in failed[number]),
            refused=sum(map(items.refused, failed[number])),
        )
        for number in range(first + 1, last + 1)
    )


def joined(cut: Sequence[Slot]) -> Slot:
    """Return one slot for several that follow each other, without their photos."""
    failed, refused = (sum(getattr(slot, name) for slot in cut) for name in ("failed", "refused"))
    return Slot(cut[0].at, sum(slot.seconds for slot in cut), failed=failed, refused=refused)


def estimate(found: Sequence[Item], start: float, end: float) -> tuple[float, tuple[Wait, ...]]:
    """Return how many photos came between two times, and their waits, from the newest of them that were read."""
    stored = [when.timestamp() for item in found if (when := times.parse(item["created_at"]))]
    read_seconds = max(end - min(stored), 1e-3) if stored else 0.0
    photos = len(stored) * (end - start) / read_seconds if stored else 0.0
    return photos, waits(found, weight=photos / len(stored) if stored else 1.0)


def waits(found: Iterable[Item], weight: float = 1.0) -> tuple[Wait, ...]:
    """Return how long the senders of answered photos waited, each standing for `weight` photos."""
    known = ((item.get("received_at") or item["created_at"], item) for item in found)
    spans = (
        timeline.between_ms(times.parse(since), times.parse(item.get("delivered_at")))
        for since, item in known
        if item.get("delivery") == Delivery.DELIVERED
    )
    return tuple(Wait(span, weight) for span in spans if span is not None)


def percentile(slots: Iterable[Slot], percent: float) -> int | None:
    """Return a percentile of the waits in milliseconds: the nearest rank, as metrics.percentile; None without any."""
    ordered = sorted((wait.milliseconds, wait.weight) for slot in slots for wait in slot.waits)
    rest = sum(weight for _, weight in ordered) * percent / 100
    for milliseconds, weight in ordered:
        rest -= weight
        # Sums of fractions are a little off.
        if rest <= 1e-6:
            return milliseconds
    return None


def _by_slot(found: Iterable[Item], length: int) -> dict[int, list[Item]]:
    slots: dict[int, list[Item]] = defaultdict(list)
    for item in found:
        if when := times.parse(item["created_at"]):
            slots[int(when.timestamp() // length)].append(item)
    return slots
