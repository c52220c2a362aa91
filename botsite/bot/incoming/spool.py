"""Hold what is downloaded: each file once, and all files of this process within a budget.

A site has two processes on a machine of 1 GiB. Without a budget, twenty files of 20 MB at once would take all of it.
"""

import ctypes
import sys
import threading

_SMALL_BYTES = 1024 * 1024
# From glibc's malloc.h: M_MMAP_THRESHOLD, in bytes, and M_ARENA_MAX.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_ARENAS = 2


class Full(Exception):
    """The budget is spent: what did not fit is to come again."""

    retry_after_seconds = 1.0


class Budget:
    """A number of bytes that files share. Large ones leave `kept_bytes` to small ones.

    So an ordinary photo never waits for somebody's slow download of 20 MB.
    """

    def __init__(self, total_bytes: int, kept_bytes: int) -> None:
        self._total_bytes, self._kept_bytes = total_bytes, kept_bytes
        self._lock = threading.Lock()
        self.used_bytes = 0

    def take(self, size: int) -> None:
        """Reserve `size` bytes. Raise Full."""
        limit = self._total_bytes if size <= _SMALL_BYTES else self._total_bytes - self._kept_bytes
        with self._lock:
            if self.used_bytes + size > limit:
                raise Full(f"{self.used_bytes} bytes of other files are on their way, no room for {size}")
            self.used_bytes += size

    def give_back(self, size: int) -> None:
        """Free what was reserved."""
        with self._lock:
            self.used_bytes -= size


BUDGET = Budget(44 * 1024 * 1024, 4 * 1024 * 1024)


class Spool:
    """A file that is being downloaded; its maker closes it."""

    def __init__(self, capacity: int, budget: Budget = BUDGET) -> None:
        """Reserve `capacity` bytes. Raise Full."""
        self._budget, self._reserved = budget, 0
        budget.take(capacity)
        self._reserved = capacity
        # The kernel zeroes it, and hands out its pages as they are written.
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
        """Give the memory back; a second time does nothing."""
        self.data = bytearray()
        self._budget.give_back(self._reserved)
        self._reserved = 0

    # A download can be cancelled after its last byte, before its caller has it.
    __del__ = close


def return_large_blocks() -> None:
    """Have glibc give each freed megabyte back to the kernel: after the first large file it would keep 40 of them."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _SMALL_BYTES)
            # Otherwise each thread that calls AWS has an arena of its own, and keeps whatever it took.
            mallopt(_ARENA_MAX, _ARENAS)
