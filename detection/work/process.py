"""Keep count of a worker's process: the jobs it has, whether one runs alone, and the CPU time of each photo."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botsite import sqs

_LOOK_SECONDS = 0.05


class Jobs:
    """The jobs of a process: those that work alongside others, and those that wait to run alone."""

    def __init__(self) -> None:
        self._count = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self.sharing = 0
        self.alone_or_waiting = 0

    @property
    def count(self) -> int:
        """Return how many jobs there are."""
        return self.sharing + self.alone_or_waiting

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Work alongside other jobs."""
        with self._count:
            self.sharing += 1
        try:
            yield
        finally:
            with self._count:
                self.sharing -= 1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Work while this process has no other job and receives none: a photo whose last worker died may kill this one.

        Jobs received earlier finish first; those that also have to run alone take turns.
        """
        with self._count:
            self.alone_or_waiting += 1
        try:
            with sqs.RECEIVING.stopped(), self._one_at_a_time:
                while self.sharing or sqs.RECEIVING.held() > self.alone_or_waiting:
                    time.sleep(_LOOK_SECONDS)
                yield
        finally:
            with self._count:
                self.alone_or_waiting -= 1


class Meter:
    """Divide the process's CPU time among its photos: each gets what was used since the one that ended before it.

    That is an estimate for one photo, and exact in total. It leaves out what the process uses while it waits for work,
    and what the child uses that decodes strange files.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._working, self._since = 0, 0.0

    @contextmanager
    def photo(self) -> Iterator[Callable[[], int]]:
        """Count a photo as in work; yield what returns its milliseconds once it has ended."""
        with self._lock:
            if not self._working:
                self._since = self._clock()
            self._working += 1
        try:
            yield self._take
        finally:
            with self._lock:
                self._working -= 1

    def _take(self) -> int:
        with self._lock:
            now = self._clock()
            seconds, self._since = now - self._since, now
        return round(seconds * 1000)


JOBS, METER = Jobs(), Meter()
