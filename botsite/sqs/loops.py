"""Run background threads that survive exceptions, and tell which have ended before their time."""

import logging
import threading
from collections.abc import Callable

# After an exception: long enough that a permanent one does not flood the log.
PAUSE_SECONDS = 1.0

_loops: set["Loop"] = set()  # Started and not finished.

log = logging.getLogger(__name__)


class Loop(threading.Thread):
    """Repeat `turn` until it returns True, or until stopped; after an exception, log it and pause."""

    def __init__(self, name: str, turn: Callable[[], bool | None]) -> None:
        super().__init__(name=name, daemon=True)
        self._turn = turn
        self.stopped = threading.Event()

    def start(self) -> None:
        """Start; from now on `dead` reports this thread if it ends early."""
        _loops.add(self)
        super().start()

    def stop(self) -> None:
        """End after the current turn."""
        self.stopped.set()

    def run(self) -> None:
        """Repeat `turn`."""
        over = False
        while not over and not self.stopped.is_set():
            try:
                over = self._turn() is True
            except Exception:
                log.exception("turn_failed", extra={"loop": self.name})
                self.stopped.wait(PAUSE_SECONDS)
        _loops.discard(self)


def dead() -> list[str]:
    """Return the names of the threads that ended before their work was over."""
    return sorted(loop.name for loop in list(_loops) if loop.ident and not loop.is_alive())
