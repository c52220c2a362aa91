"""Whose turn it is to receive: a queue that is less urgent waits while there is something in those above it."""

import threading
import time

from .options import Options


class Turns:
    """The turns of one channel's receivers, in the order of `Options.priorities`; other queues always have theirs.

    A queue is empty as long as a long poll of it is in flight that SQS does not answer: only then are those below it
    asked. One that fails, or that nobody receives from here, holds up nobody.
    """

    def __init__(self, options: Options) -> None:
        priorities, self._listen_seconds = options.priorities, options.listen_seconds
        self._order, self._let_in = list(priorities), dict(priorities)
        self._asked_at: dict[str, float] = {}  # No entry: not received. -inf: failing.
        self._passed = dict.fromkeys(priorities, 0)  # Messages that have overtaken a queue since its last turn.
        self._changed = threading.Condition()

    def join(self, queue: str) -> None:
        """Count on a queue from now on: it has not been asked yet."""
        with self._changed:
            self._asked_at.setdefault(queue, float("inf"))

    def leave(self, queue: str) -> None:
        """Wait for this queue no longer."""
        with self._changed:
            self._asked_at.pop(queue, None)
            self._changed.notify_all()

    def begin(self, queue: str, wanted: int, stopped: threading.Event) -> int:
        """Return for how many messages to ask, or 0 after a moment in which it was not this queue's turn."""
        if queue not in self._let_in:
            return wanted
        with self._changed:
            self._changed.wait_for(lambda: stopped.is_set() or self._allowed(queue, wanted), self._listen_seconds)
            return 0 if stopped.is_set() else self._allowed(queue, wanted)

    def _allowed(self, queue: str, wanted: int) -> int:
        now, above = time.monotonic(), self._order[: self._order.index(queue)]
        if all(now - self._asked_at.get(one, float("-inf")) >= self._listen_seconds for one in above):
            return wanted
        return int(0 < self._let_in[queue] <= self._passed[queue])

    def asked(self, queue: str) -> None:
        """Hold up the queues below this one until it turns out to be empty."""
        if queue in self._let_in:
            with self._changed:
                self._asked_at[queue], self._passed[queue] = time.monotonic(), 0

    def answered(self, queue: str, messages: int, failed: bool) -> None:
        """Report what `asked` has led to."""
        if queue not in self._let_in:
            return
        with self._changed:
            if queue in self._asked_at:
                self._asked_at[queue] = float("-inf") if failed else float("inf")
            for one in self._order[self._order.index(queue) + 1 :]:
                self._passed[one] += messages
            self._changed.notify_all()
