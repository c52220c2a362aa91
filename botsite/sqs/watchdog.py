"""Tell a worker that works from one that only looks alive, and end the latter.

A worker is alive if its event loop turns and it has recently heard from SQS, or is busy with jobs that are not too
old. The liveness file is for health checks; ending the process is for whatever restarts it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .loops import Loop
from .options import Options

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Signs:
    """A worker's signs of life; ages in seconds, None where there is nothing to judge."""

    loop_age: float | None
    receive_age: float | None
    oldest_job_age: float
    # Celery's embedded beat, a child process: when it ends, nobody restarts it.
    beat_ended: bool = False
    # Threads that should run for as long as the worker does, but have ended.
    dead_threads: Sequence[str] = ()

    def trouble(self, options: Options) -> str | None:
        """Return what is wrong, or None."""
        if self.loop_age is not None and self.loop_age > options.loop_seconds:
            return f"the event loop has not turned for {self.loop_age:.0f} s"
        if self.receive_age is not None and self.receive_age > options.receive_seconds:
            return f"SQS has not answered a receive for {self.receive_age:.0f} s"
        if self.oldest_job_age > options.longest_job_seconds:
            return f"a job has been running for {self.oldest_job_age:.0f} s"
        if self.beat_ended:
            return "beat has ended"
        if self.dead_threads:
            return f"threads have ended: {', '.join(self.dead_threads)}"
        return None


class Watchdog(Loop):
    """Touch the liveness file while all is well; end the process if trouble lasts."""

    def __init__(self, signs: Callable[[], Signs], options: Options) -> None:
        super().__init__("watchdog", self._look_and_wait)
        self._signs, self._options = signs, options
        self._well_at = self._looked_at = time.monotonic()

    def _look_and_wait(self) -> None:
        trouble = self.look()
        if trouble:
            log.critical("worker_stalled", extra={"trouble": trouble})
            # Nothing softer would do: what should stop the worker is what stands still.
            os._exit(1)
        self.stopped.wait(_LOOK_SECONDS)

    def look(self) -> str | None:
        """Judge once; return the trouble if it has lasted too long."""
        now = time.monotonic()
        if now - self._looked_at > self._options.loop_seconds:
            # The whole process stood still, as in a frozen machine: let it catch up before it is judged.
            self._well_at = now
        self._looked_at = now
        try:
            trouble = self._signs().trouble(self._options)
        except Exception as error:
            log.exception("signs_unreadable")
            trouble = f"the worker's signs of life cannot be read: {error}"
        if trouble is None:
            self._well_at = time.monotonic()
            if file := self._options.liveness_file:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        return trouble if time.monotonic() - self._well_at > self._options.stalled_seconds else None

    def stop(self) -> None:
        """Stop looking, and remove the file."""
        super().stop()
        if file := self._options.liveness_file:
            file.unlink(missing_ok=True)


def end_with(parent: int) -> None:
    """End this process within seconds after the process that started it has ended, even if that was killed.

    Otherwise the embedded beat of a killed worker would keep ticking next to that of the worker's replacement.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        log.warning("beat_ended", extra={"reason": "its worker is gone"})
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
