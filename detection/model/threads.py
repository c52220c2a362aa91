"""Threads that take their work from one chat after the other: one photo does not wait behind somebody's hundreds."""

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
    """Some threads. Next is the work of the chat that has the least before it, and of equals the oldest."""

    def __init__(self, number: int, name: str) -> None:
        self._waiting: PriorityQueue[tuple[int, int, Future[Any], Callable[[], Any]]] = PriorityQueue()
        self._order = count()
        self._of_chat: Counter[int] = Counter()  # Waiting or under way.
        self._lock = threading.Lock()
        for index in range(number):
            Loop(f"{name}-{index}", self._turn).start()

    @property
    def waiting(self) -> int:
        """Return how many wait for a thread."""
        return self._waiting.qsize()

    def do(self, chat_id: int, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, or raise what it raises, once one of the threads has done it."""
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
        except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for.
            done.set_exception(error)
