"""Bound what large and strange files take of a worker: its memory, and its slots.

Sixteen files of 20 MB at once would fill a machine of 1 GiB; sixteen that wait for the decoder would leave no slot for
an ordinary photo. A file that finds no room goes back to the queue, and comes again later each time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# One of the largest files. Reading a file takes its size once more.
BUDGET_BYTES = 24 << 20
# A file up to this size, which is any photo that was not sent as a document, takes nothing of it.
SMALL_BYTES = 1 << 20
# This many wait for a part of the budget, and this many for the decoder.
WAITING_AT_MOST = 3
# A chat has at most this many at the decoder, waiting or under way: one place is left for others.
OF_A_CHAT_AT_MOST = 3


class Crowded(Exception):
    """Enough files of this kind wait already; this one has to come again."""


class Budget:
    """Bytes that are lent to files."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._changed = threading.Condition()
        self.lent_bytes = 0
        self.waiting = 0

    @contextmanager
    def lent(self, size: int) -> Iterator[None]:
        """Take `size` bytes for the block, once they are free; a file larger than all of it has to be alone.

        Raise Crowded if others wait for that already.
        """
        size = 0 if size <= SMALL_BYTES else min(size, self._total_bytes)
        with self._changed:
            self._take(size)
        try:
            yield
        finally:
            with self._changed:
                self.lent_bytes -= size
                self._changed.notify_all()

    def _take(self, size: int) -> None:
        if not self._fits(size) and self.waiting >= WAITING_AT_MOST:
            raise Crowded(f"{self.waiting} large files wait for memory")
        self.waiting += 1
        try:
            self._changed.wait_for(lambda: self._fits(size))
        finally:
            self.waiting -= 1
        self.lent_bytes += size

    def _fits(self, size: int) -> bool:
        return not size or self.lent_bytes + size <= self._total_bytes


# All files of this process.
BUDGET = Budget(BUDGET_BYTES)


def check_decoder(waiting: int, of_chat: int) -> None:
    """Raise Crowded if so many files wait for the decoder, or this chat has so many there, that one more may not."""
    if waiting >= WAITING_AT_MOST or of_chat >= OF_A_CHAT_AT_MOST:
        raise Crowded(f"{waiting} files wait for the decoder, and {of_chat} of this chat are at it")
