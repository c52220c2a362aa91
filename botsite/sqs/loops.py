"""Run the threads that help a process: each outlives what its work raises, and one that has ended is known by name."""

import threading
from collections.abc import Callable

import structlog

# After an exception: long enough that one which comes each time does not fill the log.
PAUSE_SECONDS = 1.0

_loops: set["Loop"] = set()  # Started, and not over.

log = structlog.get_logger(__name__)


class Loop(threading.Thread):
    """Repeat `turn` until it returns True, or until stopped; after an exception, log it and pause."""

    def __init__(self, name: str, turn: Callable[[], bool | None]) -> None:
        super().__init__(name=name, daemon=True)
        self._turn = turn
        self.stopped = threading.Event()

    def start(self) -> None:
        """Start; from now on `dead` misses this thread."""
        _loops.add(self)
        super().start()

    def stop(self) -> None:
        """End after the turn under way."""
        self.stopped.set()

    def run(self) -> None:
        """Repeat the turn."""
        over = False
        while not over and not self.stopped.is_set():
            try:
                over = self._turn() is True
            except Exception:
                log.exception("turn_failed", thread=self.name)
                self.stopped.wait(PAUSE_SECONDS)
        _loops.discard(self)


def dead() -> list[str]:
    """Return the names of the threads that have ended before their work was over."""
    return sorted(loop.name for loop in list(_loops) if loop.ident and not loop.is_alive())
