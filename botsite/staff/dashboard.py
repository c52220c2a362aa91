"""Put what is known of the service into words, numbers and charts; what is not known is said to be so, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from botsite.staff.charts import Chart, Frame
from botsite.staff.recent import MINUTES, Recent
from botsite.staff.sources import Answer, Snapshot
from detection import timeline
from metrics.alarms import Point
from metrics.history import HOURS, History

# The metric comes each 30 s: three in a row are missing. As the alarm of the stacks has it.
STALE_SECONDS = 90
_FAILURES_AT_MOST = 0.1
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Tile:
    """A number: `bad` if somebody should look, `unknown` with the reason as its note."""

    name: str
    value: str
    note: str = ""
    bad: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """What belongs together on the page."""

    title: str
    tiles: tuple[Tile, ...]
    chart: Chart | None = None


def sections(seen: Snapshot) -> list[Section]:
    """Return the page's sections, from the queue to the answers."""
    return [_queue(seen), _machines(seen), _photos(seen)]


def _queue(seen: Snapshot) -> Section:
    dead = _tile("Dead letters", seen.dead, lambda number: Tile("", str(number), "jobs given up", bad=number > 0))
    return Section(
        "Queue",
        (
            _tile("Waiting", seen.depth, lambda depth: Tile("", str(depth.visible), "jobs no worker has")),
            _tile("In work", seen.depth, lambda depth: Tile("", str(depth.in_flight), "jobs that workers hold")),
            _tile("Oldest waiting", seen.oldest, _oldest),
            dead,
        ),
    )


def _machines(seen: Snapshot) -> Section:
    points, target = (seen.history.value.points, seen.history.value.target) if seen.history.value else ((), None)
    frame = Frame(seen.at, HOURS * 3600, STALE_SECONDS)
    return Section(
        "Machines",
        (
            _tile("Desired", seen.size, lambda size: Tile("", str(size.desired), f"{size.minimum} to {size.maximum}")),
            _tile("Running", seen.size, lambda size: Tile("", str(size.in_service), f"{size.pending} more starting")),
            _tile("Backlog per instance", seen.history, _backlog),
            _tile("Metric freshness", seen.history, lambda history: _freshness(history, seen.at)),
        ),
        frame.draw("Backlog per instance", f"{HOURS} hours ago", {"backlog": points}, target),
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
                "Answered after, p50", photos, lambda recent: Tile("", timeline.readable(recent.p50_ms), _of(recent))
            ),
            _tile(
                "Answered after, p95", photos, lambda recent: Tile("", timeline.readable(recent.p95_ms), _of(recent))
            ),
            _tile("Failures", photos, _failures),
        ),
        Frame(seen.at, MINUTES * 60, 61).draw("Photos per minute", f"{MINUTES} minutes ago", series),
    )


def _tile(name: str, answer: Answer[Value], show: Callable[[Value], Tile]) -> Tile:
    if not answer.known:
        return Tile(name, "unknown", answer.reason, unknown=True)
    shown = show(cast(Value, answer.value))
    return Tile(name, shown.value, shown.note, shown.bad)


def _oldest(seconds: float | None) -> Tile:
    return Tile("", "–", "nothing waits") if seconds is None else Tile("", _seconds(seconds), "since its job was sent")


def _backlog(history: History) -> Tile:
    if not history.points:
        return Tile("", "–", f"target {history.target:g}; nothing was published", bad=True)
    newest = history.points[-1].value
    return Tile("", f"{newest:g}", f"target {history.target:g}", bad=newest > history.target)


def _freshness(history: History, now: float) -> Tile:
    if not history.points:
        return Tile("", f"over {HOURS} h", "no point: see the logs of the metric's machine", bad=True)
    age = max(0.0, now - history.points[-1].at)
    return Tile("", _seconds(age), f"since its last point; over {STALE_SECONDS} s is too long", bad=age > STALE_SECONDS)


def _failures(recent: Recent) -> Tile:
    # Some photos are none, some chats are gone: a few are no reason to look.
    bad = recent.failed + recent.undeliverable > _FAILURES_AT_MOST * sum(recent.by_minute)
    return Tile("", str(recent.failed), f"and {recent.undeliverable} undeliverable, in {_span(recent)}", bad=bad)


def _of(recent: Recent) -> str:
    return f"of {recent.answered} photos in {_span(recent)}"


def _span(recent: Recent) -> str:
    return f"{recent.minutes:.0f} min"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else timeline.readable(round(seconds * 1000))
