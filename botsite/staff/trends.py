"""The charts of what the service did in the time that is shown."""

from collections.abc import Callable
from dataclasses import replace

from botsite.staff import slots
from botsite.staff.charts import Chart, Frame
from botsite.staff.slots import Slot
from botsite.staff.sources import Snapshot
from detection.record import timeline
from metrics.cloudwatch import STALE_AFTER_SECONDS
from metrics.evaluation import Point


def backlog(seen: Snapshot) -> Chart:
    """Return the backlog per instance, against its target."""
    found, tracked = seen.history.value, seen.tracked.value
    points = found.backlog if found else ()
    return _frame(seen).draw(
        "Backlog per instance", seen.span.since, {"backlog": points}, tracked.target if tracked else None
    )


def workers(seen: Snapshot) -> Chart:
    """Return how many workers there were, and were wanted."""
    found = seen.history.value
    lines = {"in service": found.in_service, "wanted": found.desired} if found else {"in service": (), "wanted": ()}
    return _frame(seen).draw("Workers", seen.span.since, lines)


def photos(seen: Snapshot) -> tuple[Chart, Chart]:
    """Return how many photos came and failed, and how long people waited."""
    found = seen.photos.value
    cut = found.slots if found else ()
    counts = {
        "photos, estimated" if found and found.sampled else "photos": _points(
            cut, lambda slot: slot.per_minute(slot.photos)
        ),
        "our failures": _points(cut, lambda slot: slot.per_minute(slot.failed)),
        "refused files": _points(cut, lambda slot: slot.per_minute(slot.refused)),
    }
    waits = {f"p{percent}": _waits(cut, percent) for percent in (50, 95)}
    # Of many photos, several slots are one.
    frame = replace(_frame(seen), gap=4.0 * seen.span.slot)
    return (
        frame.draw("Photos per minute", seen.span.since, counts),
        frame.draw("Time to answer", seen.span.since, waits, say=lambda value: timeline.readable(round(value))),
    )


def _frame(seen: Snapshot) -> Frame:
    # Its own metric comes twice a minute, those of EC2 Auto Scaling once.
    return Frame(seen.at, seen.span.seconds, max(1.5 * seen.span.slot, STALE_AFTER_SECONDS))


def _points(cut: tuple[Slot, ...], value: Callable[[Slot], float]) -> list[Point]:
    return [Point(slot.at, value(slot)) for slot in cut]


def _waits(cut: tuple[Slot, ...], percent: float) -> list[Point]:
    found = [(slot.at, slots.percentile([slot], percent)) for slot in cut]
    return [Point(at, value) for at, value in found if value is not None]
