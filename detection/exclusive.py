"""Run a photo alone if the last worker that had it died, so that it takes no other photos down with it."""

import threading
import time
from collections.abc import Iterator
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
        """Work while this process has no other job and receives none.

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


JOBS = Jobs()
