"""Hold what is downloaded: each file once, and all files of this process within a budget.

A site has two processes on a machine of 1 GiB. Without a budget, twenty files of 20 MB at once take it.
"""

import ctypes
import sys
import threading

BUDGET_BYTES = 44 * 1024 * 1024
# Large files leave this much to small ones: an ordinary photo never waits for somebody's slow download of 20 MB.
_KEPT_BYTES = 4 * 1024 * 1024
_SMALL_BYTES = 1024 * 1024

# From glibc's malloc.h: M_MMAP_THRESHOLD, in bytes, and M_ARENA_MAX.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_ARENAS = 2

_lock = threading.Lock()
_used_bytes = 0


class Full(Exception):
    """The budget is spent: what did not fit is to come again."""

    retry_after_seconds = 1.0


class Spool:
    """A file that is being downloaded. Whoever makes one closes it."""

    def __init__(self, capacity: int) -> None:
        """Reserve `capacity` bytes. Raise Full."""
        global _used_bytes
        self._reserved = 0
        limit = BUDGET_BYTES if capacity <= _SMALL_BYTES else BUDGET_BYTES - _KEPT_BYTES
        with _lock:
            if _used_bytes + capacity > limit:
                raise Full(f"{_used_bytes} bytes of other files are on their way, no room for {capacity}")
            _used_bytes += capacity
        self._reserved = capacity
        # Zeroed by the kernel, and so not there before it is written.
        self.data = bytearray(capacity)
        self._size = 0

    def add(self, chunk: bytes | bytearray) -> bool:
        """Append to the file; return whether there was room for it."""
        end = self._size + len(chunk)
        if end > len(self.data):
            return False
        self.data[self._size : end] = chunk
        self._size = end
        return True

    def end(self) -> None:
        """Cut off what was reserved and not needed."""
        del self.data[self._size :]

    def close(self) -> None:
        """Give the memory back."""
        global _used_bytes
        self.data = bytearray()
        with _lock:
            _used_bytes -= self._reserved
            self._reserved = 0

    # A download can be cancelled after its last byte, before its caller has it.
    __del__ = close


def return_large_blocks() -> None:
    """Have glibc give each freed megabyte back to the kernel: after the first large file it would keep 40 of them."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _SMALL_BYTES)
            # Else each of the threads that call AWS has its own, and keeps what it ever took.
            mallopt(_ARENA_MAX, _ARENAS)
