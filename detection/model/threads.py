"""Run work on threads, one chat after the other: a photo does not wait behind somebody else's hundreds."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from queue import PriorityQueue
from typing import Any, TypeVar

from botsite.sqs.loops import Loop

Result = TypeVar("Result")


class FairThreads:
    """A thread pool that serves the least-served chat first; ties go to the oldest work."""

    def __init__(self, number: int, name: str) -> None:
        self._waiting: PriorityQueue[tuple[int, int, Future[Any], Callable[[], Any]]] = PriorityQueue()
        self._order = count()
        self._of_chat: Counter[int] = Counter()  # Waiting or under way.
        self._lock = threading.Lock()
        for index in range(number):
            Loop(f"{name}-{index}", self._turn).start()

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a thread."""
        return self._waiting.qsize()

    def do(self, chat_id: int, work: Callable[[], Result]) -> Result:
        """Run `work` on one of the threads; return what it returns, or raise what it raises."""
        done: Future[Result] = Future()
        with self._lock:
            before = self._of_chat[chat_id]
            self._of_chat[chat_id] += 1
        self._waiting.put((before, next(self._order), done, work))
        try:
            return done.result()
        finally:
            with self._lock:
                self._of_chat -= Counter([chat_id])

    def _turn(self) -> None:
        _, _, done, work = self._waiting.get()
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread.
            done.set_exception(error)
