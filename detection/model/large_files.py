"""Limit how much of a worker's memory, and how many of its slots, large and strange files take.

Sixteen files of 20 MB at once would fill a machine of 1 GiB; sixteen that wait for the decoder would leave no slot for
an ordinary photo. A file that finds no room goes back to the queue, and comes again later each time. Room goes by turns
between chats: however many files others send, and however slow they are, somebody with a single one finds some.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

# One of the largest files. Reading a file takes its size once more.
BUDGET_BYTES = 24 << 20
# A file up to this size, which is any photo that was not sent as a document, takes nothing of it.
SMALL_BYTES = 1 << 20
# This many wait for a part of the budget, and this many for the decoder.
WAITING_AT_MOST = 3
# How many of the latest files tell which chats have had most.
_REMEMBERED = 100


class Crowded(Exception):
    """Enough files of this kind wait already; this one has to come again."""


@dataclass(eq=False, slots=True)
class _File:
    """A file that waits for its share or, since `began`, has it; `before` it came so many files of its chat."""

    chat_id: int
    size: int
    before: int
    number: int
    began: float | None = None
    crowded: bool = False


class Budget:
    """A limited resource, lent to files: first to chats with few files here, then to those that had least lately."""

    def __init__(self, total: int, free: int = 0) -> None:
        """`free`: files up to this size take nothing."""
        self._total, self._free = total, free
        self._changed = threading.Condition()
        self._files: list[_File] = []
        self._numbers = count()
        # Chats, and for how many seconds each had something.
        self._had: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    @property
    def used(self) -> int:
        """Return how much is lent."""
        return sum(file.size for file in self._files if file.began is not None)

    @property
    def waiting(self) -> int:
        """Return how many files wait."""
        return len(self._waiting())

    @contextmanager
    def lent(self, size: int, chat_id: int) -> Iterator[None]:
        """Take `size` for the block when it is this file's turn; a file larger than the whole budget gets it alone.

        Raise Crowded if others wait that come first, perhaps after it has waited itself.
        """
        if size <= self._free:
            yield
            return
        file = self._come(chat_id, min(size, self._total))
        try:
            self._wait(file)
            yield
        finally:
            self._go(file)

    def _come(self, chat_id: int, size: int) -> _File:
        with self._changed:
            before = sum(other.chat_id == chat_id for other in self._files)
            file = _File(chat_id, size, before, next(self._numbers))
            self._files.append(file)
            if not self._may_begin(file) and self.waiting > WAITING_AT_MOST:
                max(self._waiting(), key=self._order).crowded = True
                self._changed.notify_all()
            return file

    def _wait(self, file: _File) -> None:
        with self._changed:
            self._changed.wait_for(lambda: file.crowded or self._may_begin(file))
            if file.crowded:
                raise Crowded(f"{self.waiting} files come first, and {file.before} of this chat were there before")
            file.began = time.monotonic()
            # There may be room for the next one, too.
            self._changed.notify_all()

    def _go(self, file: _File) -> None:
        with self._changed:
            self._files.remove(file)
            if file.began is not None:
                self._had.append((file.chat_id, time.monotonic() - file.began))
            self._changed.notify_all()

    def _waiting(self) -> list[_File]:
        return [file for file in self._files if file.began is None and not file.crowded]

    def _may_begin(self, file: _File) -> bool:
        return file is min(self._waiting(), key=self._order) and self.used + file.size <= self._total

    def _order(self, file: _File) -> tuple[int, float, int]:
        """Return the sort key of a file: chats with few files here come first, then those that had little lately."""
        had = sum(seconds for chat_id, seconds in self._had if chat_id == file.chat_id)
        return file.before, had, file.number


# The memory of this process, the decoder of anything but ordinary JPEGs, and who reads text.
BUDGET = Budget(BUDGET_BYTES, free=SMALL_BYTES)
DECODER, READER = Budget(1), Budget(1)
