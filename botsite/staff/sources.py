"""Read everything the dashboard shows, in parallel, once for all viewers; a failure becomes the reason shown."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from botsite.staff import recent
from botsite.staff.recent import Recent
from detection import dead_letters
from metrics import service
from metrics.backlog import Depth
from metrics.cloudwatch import Group
from metrics.service import MetricFailed, Tracked

log = structlog.get_logger()

# Pages refresh every three seconds: ten open ones cost as much as one.
_CACHED_SECONDS = 2.5
# Whatever takes longer is unknown for now, and shown once it arrives.
_PATIENCE_SECONDS = 6.0
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
    """The state of the service `at` a time (epoch seconds). `oldest` is in seconds, `dead` counts letters."""

    at: float
    queue: Reading[Depth]
    oldest: Reading[float | None]
    group: Reading[Group]
    tracked: Reading[Tracked]
    photos: Reading[Recent]
    dead: Reading[int]


class Source(Generic[Value]):
    """Something to read. A read that is still running is waited for, not started again."""

    def __init__(self, name: str, read: Callable[[], Value]) -> None:
        self._name, self._read = name, read
        self._future: Future[Value] | None = None
        self._failing = False

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Start reading, unless a read is still running."""
        if self._future is None or self._future.done():
            self._future = pool.submit(self._read)

    def reading(self, deadline: float) -> Reading[Value]:
        """Return the result, or why it has not come by the deadline (monotonic seconds)."""
        assert self._future is not None, "begin() comes first"
        try:
            found = Reading(self._future.result(max(0.0, deadline - time.monotonic())))
        except TimeoutError:
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
    """All sources, behind a cache."""

    def __init__(self) -> None:
        # Named as the fields of Snapshot.
        reads: dict[str, Callable[[], Any]] = {
            "queue": service.queue,
            "oldest": recent.oldest_waiting_seconds,
            "group": service.group,
            "tracked": service.tracked,
            "photos": recent.read,
            "dead": dead_letters.count,
        }
        self._sources = {name: Source(name, read) for name, read in reads.items()}
        self._pool = ThreadPoolExecutor(max_workers=len(reads), thread_name_prefix="ops")
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return the current state, at most a few seconds old; concurrent callers share one read."""
        with self._lock:
            if self._snapshot is None or time.monotonic() - self._read_at > _CACHED_SECONDS:
                self._snapshot = self._read()
                self._read_at = time.monotonic()
            return self._snapshot

    def _read(self) -> Snapshot:
        for source in self._sources.values():
            source.begin(self._pool)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        readings = {name: source.reading(deadline) for name, source in self._sources.items()}
        return Snapshot(at=time.time(), **readings)


everything = Sources()
