"""Bound what large and strange files take of a worker: its memory, and its slots.

Sixteen files of 20 MB at once would take a machine of 1 GiB; sixteen that wait for the decoder would leave no slot to
an ordinary photo. What finds no room goes back to the queue, and comes again later each time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# One of the largest files. Reading a file takes its size once more.
BUDGET_BYTES = 24 << 20
# A file up to this size, which is any photo that was not sent as a document, takes nothing of it.
SMALL_BYTES = 1 << 20
# So many wait for a part of the budget, and so many for the decoder.
WAITING_AT_MOST = 3

_changed = threading.Condition()
_lent = 0
_waiting = 0


class Crowded(Exception):
    """Enough files of this kind wait already; this one has to come again."""


@contextmanager
def lent(size: int) -> Iterator[None]:
    """Take `size` bytes for the block, once they are free; a file larger than all of it has to be alone.

    Raise Crowded if others wait for that already.
    """
    size = 0 if size <= SMALL_BYTES else min(size, BUDGET_BYTES)
    with _changed:
        _take(size)
    try:
        yield
    finally:
        with _changed:
            _give_back(size)


def check_waiting(waiting: int) -> None:
    """Raise Crowded if so many wait for the decoder that one more may not."""
    if waiting >= WAITING_AT_MOST:
        raise Crowded(f"{waiting} files wait for the decoder")


def _take(size: int) -> None:
    global _lent, _waiting
    if size and _lent + size > BUDGET_BYTES and _waiting >= WAITING_AT_MOST:
        raise Crowded(f"{_waiting} large files wait for memory")
    _waiting += 1
    try:
        _changed.wait_for(lambda: not size or _lent + size <= BUDGET_BYTES)
    finally:
        _waiting -= 1
    _lent += size


def _give_back(size: int) -> None:
    global _lent
    _lent -= size
    _changed.notify_all()
