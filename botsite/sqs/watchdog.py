"""Tell a worker that works from one that only looks alive, and end the latter.

Alive is a worker whose event loop turns and which has lately heard from SQS, or is busy with jobs that are not too
old. The file is for health checks; ending the process is for whoever restarts it.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from botsite.sqs.loops import Loop

log = structlog.get_logger()

LOOP_SECONDS = 15.0
RECEIVE_SECONDS = 45.0
STALLED_SECONDS = 60.0
_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Signs:
    """What a worker shows of itself; ages in seconds, None where there is nothing to judge."""

    loop_age: float | None
    receive_age: float | None
    oldest_job_age: float
    longest_job: float
    # Celery's embedded beat, a child of its own: when it ends, nobody starts it again.
    beat_ended: bool = False
    # What ought to run for as long as the worker does, and has ended.
    dead_threads: Sequence[str] = ()

    @property
    def trouble(self) -> str | None:
        """Return what is wrong, or None."""
        if self.loop_age is not None and self.loop_age > LOOP_SECONDS:
            return f"the event loop has not turned for {self.loop_age:.0f} s"
        if self.receive_age is not None and self.receive_age > RECEIVE_SECONDS:
            return f"SQS has not answered a receive for {self.receive_age:.0f} s"
        if self.oldest_job_age > self.longest_job:
            return f"a job has been running for {self.oldest_job_age:.0f} s"
        if self.beat_ended:
            return "beat has ended"
        if self.dead_threads:
            return f"threads have ended: {', '.join(self.dead_threads)}"
        return None


class Watchdog(Loop):
    """Touch the file while all is well; end the process when it has not been for STALLED_SECONDS."""

    def __init__(self, signs: Callable[[], Signs], file: Path) -> None:
        super().__init__("watchdog", self._look_and_wait)
        self._signs, self._file = signs, file
        self._well_at = time.monotonic()

    def _look_and_wait(self) -> None:
        trouble = self.look()
        if trouble:
            log.critical("worker_stalled", trouble=trouble)
            # Nothing softer: what should stop the worker is what does not turn.
            os._exit(1)
        self.stopped.wait(_LOOK_SECONDS)

    def look(self) -> str | None:
        """Judge once; return the trouble if it has lasted too long."""
        try:
            trouble = self._signs().trouble
        except Exception as error:
            log.exception("signs_unreadable")
            trouble = f"what the worker shows of itself cannot be read: {error}"
        if trouble is None:
            self._well_at = time.monotonic()
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch()
        return trouble if time.monotonic() - self._well_at > STALLED_SECONDS else None

    def stop(self) -> None:
        """Stop looking, and take the file away."""
        super().stop()
        self._file.unlink(missing_ok=True)


def end_with(parent: int) -> None:
    """End this process when the process that started it has ended, killed or not, within some seconds.

    Else the embedded beat of a killed worker would tick for ever, beside that of the worker which replaces it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        log.warning("beat_ended", reason="its worker is gone")
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
