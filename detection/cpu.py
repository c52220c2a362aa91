"""Measure the CPU time that a photo takes, in a process that works on many at once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Meter:
    """Divide the process's CPU time among its photos: each gets what was used since the one that ended before it.

    For a single photo that is a guess, for many it adds up. What the process uses while it waits for work counts for
    none, and neither does the child that decodes strange files.
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


METER = Meter()
