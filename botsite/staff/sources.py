"""Read all that the page shows at the same time, once for everybody who looks, and say of each failure what it was."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from botsite.staff import recent
from botsite.staff.recent import Recent
from detection import dead_letters
from metrics import cloudwatch, history
from metrics.cloudwatch import Depth, MetricFailed, Size
from metrics.history import History

log = structlog.get_logger()

# Pages ask every three seconds: ten that are open cost as one.
_CACHED_SECONDS = 2.5
# What takes longer is unknown for now, and is shown when it has come.
_PATIENCE_SECONDS = 6.0
_FAILURES = (MetricFailed, dead_letters.NoDeadLetterQueue, ClientError, BotoCoreError)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """What a source says; without a value, `reason` tells why."""

    value: Value | None
    reason: str = ""

    @property
    def known(self) -> bool:
        """Return whether there is an answer, even if that is "none"."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How the service stands `at` a time (epoch seconds). `oldest`: seconds; `dead`: letters."""

    at: float
    depth: Answer[Depth]
    oldest: Answer[float | None]
    size: Answer[Size]
    history: Answer[History]
    photos: Answer[Recent]
    dead: Answer[int]


class Source(Generic[Value]):
    """Something to read; what is still being read is waited for, and not read a second time."""

    def __init__(self, name: str, read: Callable[[], Value]) -> None:
        self._name, self._read = name, read
        self._future: Future[Value] | None = None
        self._failing = False

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Start to read, unless that is under way."""
        if self._future is None or self._future.done():
            self._future = pool.submit(self._read)

    def answer(self, deadline: float) -> Answer[Value]:
        """Return the answer, or why there is none until the deadline (monotonic seconds)."""
        assert self._future is not None, "begin() comes first"
        try:
            found = Answer(self._future.result(max(0.0, deadline - time.monotonic())))
        except TimeoutError:
            return self._failed(f"no answer within {_PATIENCE_SECONDS:g} s")
        except _FAILURES as error:
            return self._failed(str(error))
        self._failing = False
        return found

    def _failed(self, reason: str) -> Answer[Value]:
        # Once, and not each time that somebody looks.
        if not self._failing:
            log.warning("ops_source_failed", source=self._name, error=reason)
        self._failing = True
        return Answer(None, reason)


class Sources:
    """All sources, behind a cache."""

    def __init__(self) -> None:
        self._depth = Source("depth", cloudwatch.depth)
        self._oldest = Source("oldest", recent.oldest_waiting_seconds)
        self._size = Source("size", cloudwatch.size)
        self._history = Source("history", history.read)
        self._photos = Source("photos", recent.read)
        self._dead = Source("dead letters", dead_letters.count)
        self._pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="ops")
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return how things stand, as of some seconds ago at most; whoever asks meanwhile waits for the same."""
        with self._lock:
            if self._snapshot is None or time.monotonic() - self._read_at > _CACHED_SECONDS:
                self._snapshot = self._look()
                self._read_at = time.monotonic()
            return self._snapshot

    def _look(self) -> Snapshot:
        for source in (self._depth, self._oldest, self._size, self._history, self._photos, self._dead):
            source.begin(self._pool)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        return Snapshot(
            depth=self._depth.answer(deadline),
            oldest=self._oldest.answer(deadline),
            size=self._size.answer(deadline),
            history=self._history.answer(deadline),
            photos=self._photos.answer(deadline),
            dead=self._dead.answer(deadline),
            at=time.time(),
        )


everything = Sources()
