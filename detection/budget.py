"""Bound the photos that a worker holds: sixteen files of 20 MB at once would take a machine of 1 GiB."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# One of the largest files, or a hundred ordinary photos. Reading a file takes its size once more.
BUDGET_BYTES = 24 << 20
# malloc keeps what such a file took for the next one (yolo.py), which ordinary photos ask of it and these must not.
_RETURNED_BYTES = 8 << 20

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
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
        if size >= _RETURNED_BYTES and trim:
            trim(0)
        with _changed:
            _lent -= size
            _changed.notify_all()
