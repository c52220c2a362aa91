"""Turn readings of the service into the dashboard's tiles and charts; what could not be read is shown as unknown."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from botsite.staff import first_worker
from botsite.staff.charts import Chart, Frame
from botsite.staff.recent import MINUTES, Recent
from botsite.staff.sources import Reading, Snapshot
from detection import timeline
from metrics import backlog
from metrics.cloudwatch import STALE_AFTER_SECONDS, Group
from metrics.evaluation import Point
from metrics.service import HOURS, Tracked

_FAILURES_AT_MOST = 0.1
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Tile:
    """A number: `bad` if it needs attention; `unknown` with the reason as its note."""

    name: str
    value: str
    note: str = ""
    bad: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Tiles that belong together, with a sentence above them and their chart."""

    title: str
    tiles: tuple[Tile, ...]
    chart: Chart | None = None
    notice: str = ""


def sections(seen: Snapshot) -> list[Section]:
    """Return the sections of the page, from the queue to the answers."""
    return [_queue(seen), _machines(seen), _photos(seen)]


def _queue(seen: Snapshot) -> Section:
    dead = _tile(
        "Dead letters", seen.dead, lambda number: Tile("", str(number), "jobs that failed too often", bad=number > 0)
    )
    return Section(
        "Queue",
        (
            _tile("Waiting", seen.queue, lambda queue: Tile("", str(queue.visible), "jobs without a worker")),
            _tile("In progress", seen.queue, lambda queue: Tile("", str(queue.in_flight), "jobs that workers hold")),
            _tile("Oldest waiting", seen.oldest, _oldest),
            dead,
        ),
    )


def _machines(seen: Snapshot) -> Section:
    tracked = seen.tracked.value
    points, target = (tracked.points, tracked.target) if tracked else ((), None)
    frame = Frame(seen.at, HOURS * 3600, STALE_AFTER_SECONDS)
    return Section(
        "Machines",
        (
            _tile(
                "Desired", seen.group, lambda group: Tile("", str(group.desired), f"{group.minimum} to {group.maximum}")
            ),
            _tile(
                "In service",
                seen.group,
                lambda group: Tile("", str(group.in_service), f"{group.pending} more starting"),
            ),
            _tile("Backlog per instance", seen.tracked, lambda tracked: _backlog(tracked, seen.group.value)),
            _tile("Metric freshness", seen.tracked, lambda tracked: _freshness(tracked, seen.at)),
        ),
        frame.draw("Backlog per instance", f"{HOURS} hours ago", {"backlog": points}, target),
        first_worker.words(seen),
    )


def _photos(seen: Snapshot) -> Section:
    photos = seen.photos
    series: dict[str, list[Point]] = {"photos": [], "failed": []}
    if photos.value:
        for name, counts in (("photos", photos.value.by_minute), ("failed", photos.value.failed_by_minute)):
            by_age = reversed(list(enumerate(counts)))
            series[name] = [Point(seen.at - 60.0 * minute, count) for minute, count in by_age]
    return Section(
        "Photos",
        (
            _tile("Photos per minute", photos, lambda recent: Tile("", str(recent.by_minute[0]), "in the last minute")),
            _tile(
                "Time to answer, p50", photos, lambda recent: Tile("", timeline.readable(recent.p50_ms), _of(recent))
            ),
            _tile(
                "Time to answer, p95", photos, lambda recent: Tile("", timeline.readable(recent.p95_ms), _of(recent))
            ),
            _tile("Failures", photos, _failures),
        ),
        Frame(seen.at, MINUTES * 60, 61).draw("Photos per minute", f"{MINUTES} minutes ago", series),
    )


def _tile(name: str, reading: Reading[Value], show: Callable[[Value], Tile]) -> Tile:
    if not reading.known:
        return Tile(name, "unknown", reading.reason, unknown=True)
    shown = show(cast(Value, reading.value))
    return Tile(name, shown.value, shown.note, shown.bad)


def _oldest(seconds: float | None) -> Tile:
    return (
        Tile("", "–", "nothing is waiting")
        if seconds is None
        else Tile("", _seconds(seconds), "since the job was sent")
    )


def _backlog(tracked: Tracked, group: Group | None) -> Tile:
    if not tracked.points:
        return Tile("", "–", f"target {tracked.target:g}; nothing published", bad=True)
    newest = tracked.points[-1].value
    raised = group is not None and math.isclose(newest * group.desired, backlog.kept(tracked.target), rel_tol=1e-6)
    note = f"target {tracked.target:g}" + ("; raised, so that a machine stays" if raised else "")
    return Tile("", f"{newest:g}", note, bad=newest > tracked.target)


def _freshness(tracked: Tracked, now: float) -> Tile:
    if not tracked.points:
        return Tile("", f"over {HOURS} h", "no data: check the logs of the metric machine", bad=True)
    age = max(0.0, now - tracked.points[-1].at)
    return Tile(
        "", _seconds(age), f"since the last value; stale after {STALE_AFTER_SECONDS:g} s", bad=age > STALE_AFTER_SECONDS
    )


def _failures(recent: Recent) -> Tile:
    # Some files are not photos and some chats are gone: a few failures are normal.
    bad = recent.failed + recent.undeliverable > _FAILURES_AT_MOST * sum(recent.by_minute)
    return Tile("", str(recent.failed), f"plus {recent.undeliverable} undeliverable, in {_span(recent)}", bad=bad)


def _of(recent: Recent) -> str:
    return f"of {recent.answered} photos in {_span(recent)}"


def _span(recent: Recent) -> str:
    return f"{recent.minutes:.0f} min"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else timeline.readable(round(seconds * 1000))
