"""Run calls on threads, one user after the other: nobody's call waits behind somebody else's hundreds."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from itertools import count
from queue import PriorityQueue
from typing import Any, TypeVar

from .loops import Loop

Result = TypeVar("Result")


class FairThreads:
    """A thread pool that serves first whoever has the fewest calls in it; ties go to the oldest call."""

    def __init__(self, number: int, name: str) -> None:
        self._number, self._name = number, name
        self._begin()
        # Threads and whoever holds a lock stay behind when a process is forked.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._waiting: PriorityQueue[tuple[int, int, Future[Any], Callable[[], Any]]] = PriorityQueue()
        self._order = count()
        self._calls_of: Counter[Hashable] = Counter()  # Waiting or under way.
        self._lock = threading.Lock()
        for index in range(self._number):
            Loop(f"{self._name}-{index}", self._turn).start()

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a thread."""
        return self._waiting.qsize()

    def do(self, whose: Hashable, work: Callable[[], Result]) -> Result:
        """Run `work`, a call of `whose`, on one of the threads; return what it returns, or raise what it raises."""
        done: Future[Result] = Future()
        with self._lock:
            before = self._calls_of[whose]
            self._calls_of[whose] += 1
        self._waiting.put((before, next(self._order), done, work))
        try:
            return done.result()
        finally:
            with self._lock:
                self._calls_of -= Counter([whose])

    def _turn(self) -> None:
        _, _, done, work = self._waiting.get()
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread.
            done.set_exception(error)
