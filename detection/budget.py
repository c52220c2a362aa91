"""Bound the photos that a worker holds: sixteen files of 20 MB at once would take a machine of 1 GiB."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# One of the largest files, or a hundred ordinary photos. Reading a file takes its size once more.
BUDGET_BYTES = 24 << 20

_changed = threading.Condition()
_lent = 0


@contextmanager
def lent(size: int) -> Iterator[None]:
    """Take `size` bytes for the block, once they are free; a file larger than all of it has to be alone."""
    global _lent
    size = min(size, BUDGET_BYTES)
    with _changed:
        _changed.wait_for(lambda: _lent + size <= BUDGET_BYTES)
        _lent += size
    try:
        yield
    finally:
        with _changed:
            _lent -= size
            _changed.notify_all()
