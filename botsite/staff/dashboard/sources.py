"""Read everything the dashboard shows, in parallel, once for all viewers; a failure becomes the reason shown."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import pause
from botsite.bot.incoming import limits
from botsite.bot.incoming.limits import Limited
from botsite.pause import Pause
from botsite.staff.dashboard.charts import Frame
from botsite.staff.dashboard.ranges import RANGES, TimeRange
from botsite.standby import MACHINE
from detection.record import feedback
from detection.work import dead_letters, reports
from detection.work.reports import Report
from metrics import service
from metrics.backlog import Depth
from metrics.cloudwatch import STALE_AFTER_SECONDS, Alarm, Group, ScheduledAction
from metrics.health import events, photos, waiting
from metrics.health.events import Event
from metrics.health.findings import Finding, known, unknown
from metrics.health.photos import Recent
from metrics.health.waiting import Waiting
from metrics.service import History, MetricFailed, Tracked

log = structlog.get_logger()

# Pages refresh every three seconds: ten open ones cost as much as one.
_CACHED_SECONDS = 2.5
# A slower answer is unknown for now, and shown once it arrives.
_PATIENCE_SECONDS = 6.0
_MACHINES_AT_MOST = 50
# Two reports in a row are missing: it may be turned off.
STANDBY_SILENT_SECONDS = 2.5 * reports.UNCHANGED_SECONDS
_FEEDBACK_AT_MOST = 1000
_EVENTS_OF = timedelta(days=1)
_FAILURES = (MetricFailed, dead_letters.NoDeadLetterQueue, ClientError, BotoCoreError)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the service `at` a time (epoch seconds), and what it did over a `span`. `dead` counts letters."""

    at: float
    span: TimeRange
    queue: Finding[Depth]
    waiting: Finding[Waiting]
    dead: Finding[int]
    paused: Finding[Pause | None]
    scheduled: Finding[list[ScheduledAction]]
    groups: Finding[dict[str, Group]]
    reports: Finding[dict[str, Report]]
    tracked: Finding[Tracked]
    alarms: Finding[list[Alarm]]
    history: Finding[History]
    photos: Finding[Recent]
    # Of how many answers of the last day people say that something is wrong.
    feedback: Finding[int] = field(default_factory=lambda: known(0))
    limited: Finding[list[Limited]] = field(default_factory=lambda: known([]))
    events: Finding[list[Event]] = field(default_factory=lambda: known([]))

    @property
    def workers(self) -> Group | None:
        """Return the workers' group, None if it is unknown."""
        return self.groups.data["yolo5"] if self.groups.data else None

    @property
    def standby(self) -> Report | None:
        """Return what the worker on standby said, if there is one."""
        found = (self.reports.data or {}).get(MACHINE)
        return found if found and self.at - found.at.timestamp() <= STANDBY_SILENT_SECONDS else None

    @property
    def since(self) -> datetime:
        """Return when the time that is shown began, in whole minutes."""
        return datetime.fromtimestamp((self.at - self.span.seconds) // 60 * 60, UTC)

    @property
    def frame(self) -> Frame:
        """Return what a chart covers."""
        # The service's own metric comes twice a minute, those of EC2 Auto Scaling once.
        return Frame(self.at, self.span.seconds, max(1.5 * self.span.slot, STALE_AFTER_SECONDS))


class Source(Generic[Value]):
    """A reader that is called every few seconds. One that is still running is waited for, not started again."""

    def __init__(self, name: str, read: Callable[[], Value], every_seconds: float) -> None:
        self._name, self._read, self._every_seconds = name, read, every_seconds
        self._future: Future[Value] | None = None
        self._begun_at = float("-inf")
        self._failing = self._late = False

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Start reading if that is due; after a failure it soon is."""
        if self._future is not None and (self._late or not self._future.done()):
            return
        age = time.monotonic() - self._begun_at
        if age > (_CACHED_SECONDS if self._failing else self._every_seconds):
            self._future, self._begun_at = pool.submit(self._read), time.monotonic()

    def reading(self, deadline: float) -> Finding[Value]:
        """Return the newest result, or why it has not come by the deadline (monotonic seconds)."""
        assert self._future is not None, "begin() comes first"
        # A source that was late once is not waited for again: the page would be as slow.
        patience = 0.0 if self._late else max(0.0, deadline - time.monotonic())
        self._late = False
        try:
            found = known(self._future.result(patience))
        except TimeoutError:
            self._late = True
            return self._failed(f"no answer within {_PATIENCE_SECONDS:g} s")
        except _FAILURES as error:
            return self._failed(str(error))
        self._failing = False
        return found

    def _failed(self, reason: str) -> Finding[Value]:
        # Once, not on every refresh.
        if not self._failing:
            log.warning("ops_source_failed", source=self._name, error=reason)
        self._failing = True
        return unknown(reason)


class Sources:
    """All sources, behind a cache. They are named as the fields of Snapshot."""

    def __init__(self) -> None:
        self._now: dict[str, Source[Any]] = {
            "queue": Source("queue", service.queue, _CACHED_SECONDS),
            "waiting": Source("waiting", waiting.read_waits, _CACHED_SECONDS),
            "dead": Source("dead", dead_letters.count, _CACHED_SECONDS),
            "groups": Source("groups", self._read_groups, _CACHED_SECONDS),
            "reports": Source("reports", self._read_reports, _CACHED_SECONDS),
            "paused": Source("paused", lambda: pause.read(settings.PREDICTIONS_TABLE), _CACHED_SECONDS),
            "limited": Source("limited", limits.refused_lately, 15.0),
            "events": Source("events", _read_events, 15.0),
            "scheduled": Source("scheduled", service.scheduled, 15.0),
            "feedback": Source("feedback", partial(feedback.count, timedelta(days=1), _FEEDBACK_AT_MOST), 15.0),
            # These cost money: see docs/architecture.md.
            "tracked": Source("tracked", service.tracked, 5.0),
            "alarms": Source("alarms", service.alarms, 15.0),
        }
        self._past = {span.name: _past(span) for span in RANGES.values()}
        self._machines: list[str] | None = None
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="ops")
        self._lock = threading.Lock()
        self._snapshots: dict[str, tuple[float, Snapshot]] = {}

    def snapshot(self, span: TimeRange) -> Snapshot:
        """Return the current state, at most a few seconds old; concurrent callers share one read."""
        with self._lock:
            read_at, found = self._snapshots.get(span.name, (float("-inf"), None))
            if found is None or time.monotonic() - read_at > _CACHED_SECONDS:
                found = self._read(span)
                self._snapshots[span.name] = time.monotonic(), found
            return found

    def _read(self, span: TimeRange) -> Snapshot:
        sources = {**self._now, **self._past[span.name]}
        for source in sources.values():
            source.begin(self._pool)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        readings: dict[str, Any] = {name: source.reading(deadline) for name, source in sources.items()}
        return Snapshot(at=time.time(), span=span, **readings)

    def _read_groups(self) -> dict[str, Group]:
        groups = service.fleet()
        self._machines = _machines(groups)
        return groups

    def _read_reports(self) -> dict[str, Report]:
        # Of the machines of the last reading, so that neither source waits for the other.
        machines = _machines(service.fleet()) if self._machines is None else self._machines
        return reports.read([*machines, MACHINE])


def _read_events() -> list[Event]:
    return events.of_machines(service.group_names(), datetime.now(UTC) - _EVENTS_OF)


def _machines(groups: Mapping[str, Group]) -> list[str]:
    return [one.id for group in groups.values() for one in group.instances][:_MACHINES_AT_MOST]


def _past(span: TimeRange) -> dict[str, Source[Any]]:
    """Return the sources of what happened in a time."""
    return {
        "history": Source("history", partial(service.history, span.seconds, span.slot), max(15.0, span.every_seconds)),
        "photos": Source("photos", partial(photos.read_photos, span.seconds, span.slot), span.every_seconds),
    }


everything = Sources()
