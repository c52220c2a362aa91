"""Read everything the dashboard shows, in parallel, once for all viewers; a failure becomes the reason shown."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import pause
from botsite.bot.incoming import limits
from botsite.bot.incoming.limits import Limited
from botsite.pause import Pause
from botsite.staff import recent, time_ranges, waiting
from botsite.staff.recent import Recent
from botsite.staff.time_ranges import TimeRange
from botsite.staff.waiting import Waiting
from detection.record import feedback
from detection.work import dead_letters, reports
from detection.work.reports import Report
from metrics import service
from metrics.backlog import Depth
from metrics.cloudwatch import Alarm, Group, ScheduledAction
from metrics.service import History, MetricFailed, Tracked

log = structlog.get_logger()

# Pages refresh every three seconds: ten open ones cost as much as one.
_CACHED_SECONDS = 2.5
# Whatever takes longer is unknown for now, and shown once it arrives.
_PATIENCE_SECONDS = 6.0
_MACHINES_AT_MOST = 50
_FEEDBACK_AT_MOST = 1000
_FAILURES = (MetricFailed, dead_letters.NoDeadLetterQueue, ClientError, BotoCoreError)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value]):
    """What a source returned, or the `reason` why it returned nothing."""

    value: Value | None
    reason: str = ""

    @property
    def known(self) -> bool:
        """Return whether the source returned something, even if that is None."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the service `at` a time (epoch seconds), and what it did over a `span`. `dead` counts letters."""

    at: float
    span: TimeRange
    queue: Reading[Depth]
    waiting: Reading[Waiting]
    dead: Reading[int]
    paused: Reading[Pause | None]
    scheduled: Reading[list[ScheduledAction]]
    groups: Reading[dict[str, Group]]
    reports: Reading[dict[str, Report]]
    tracked: Reading[Tracked]
    alarms: Reading[list[Alarm]]
    history: Reading[History]
    photos: Reading[Recent]
    # Of how many answers of the last day people say that something is wrong.
    feedback: Reading[int] = Reading(0)
    limited: Reading[list[Limited]] = field(default_factory=lambda: Reading([]))

    @property
    def workers(self) -> Group | None:
        """Return the workers' group, None if it is unknown."""
        return self.groups.value["yolo5"] if self.groups.value else None


class Source(Generic[Value]):
    """Something to read every so many seconds. A read that is still running is waited for, not started again."""

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

    def reading(self, deadline: float) -> Reading[Value]:
        """Return the newest result, or why it has not come by the deadline (monotonic seconds)."""
        assert self._future is not None, "begin() comes first"
        # What was late once is not waited for again: the page would be slow as long as it is.
        patience = 0.0 if self._late else max(0.0, deadline - time.monotonic())
        self._late = False
        try:
            found = Reading(self._future.result(patience))
        except TimeoutError:
            self._late = True
            return self._failed(f"no answer within {_PATIENCE_SECONDS:g} s")
        except _FAILURES as error:
            return self._failed(str(error))
        self._failing = False
        return found

    def _failed(self, reason: str) -> Reading[Value]:
        # Once, not on every refresh.
        if not self._failing:
            log.warning("ops_source_failed", source=self._name, error=reason)
        self._failing = True
        return Reading(None, reason)


class Sources:
    """All sources, behind a cache. They are named as the fields of Snapshot."""

    def __init__(self) -> None:
        self._now: dict[str, Source[Any]] = {
            "queue": Source("queue", service.queue, _CACHED_SECONDS),
            "waiting": Source("waiting", waiting.read, _CACHED_SECONDS),
            "dead": Source("dead", dead_letters.count, _CACHED_SECONDS),
            "groups": Source("groups", self._read_groups, _CACHED_SECONDS),
            "reports": Source("reports", self._read_reports, _CACHED_SECONDS),
            "paused": Source("paused", lambda: pause.read(settings.PREDICTIONS_TABLE), _CACHED_SECONDS),
            "limited": Source("limited", limits.refused_lately, 15.0),
            "scheduled": Source("scheduled", service.scheduled, 15.0),
            "feedback": Source("feedback", partial(feedback.count, timedelta(days=1), _FEEDBACK_AT_MOST), 15.0),
            # These cost money: see docs/architecture.md.
            "tracked": Source("tracked", service.tracked, 5.0),
            "alarms": Source("alarms", service.alarms, 15.0),
        }
        self._past = {span.name: _past(span) for span in time_ranges.RANGES.values()}
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
        return reports.read(_machines(service.fleet()) if self._machines is None else self._machines)


def _machines(groups: Mapping[str, Group]) -> list[str]:
    return [one.id for group in groups.values() for one in group.instances][:_MACHINES_AT_MOST]


def _past(span: TimeRange) -> dict[str, Source[Any]]:
    """Return the sources of what happened in a time."""
    return {
        "history": Source("history", partial(service.history, span.seconds, span.slot), max(15.0, span.every_seconds)),
        "photos": Source("photos", partial(recent.read, span.seconds, span.slot), span.every_seconds),
    }


everything = Sources()
