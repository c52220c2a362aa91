"""Decide when this process may receive: an outage of AWS must not use up the receives of the messages that wait.

A job that fails because AWS does goes back to its queue, and one receive of it is gone. So receiving pauses after a few
such failures in a row; after each pause one message is received as a probe, until a job gets through.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

FAILURES = 3  # in a row, of jobs, before the first pause
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
LOOK_SECONDS = 1.0  # A receiver that has to wait looks up this often.

log = structlog.get_logger(__name__)


@dataclass
class Pauses:
    """What is known of an outage; the caller has the clock. Each pause is twice as long as the one before."""

    failures: int = 0  # in a row
    pauses: int = 0  # since a job last got through
    until: float = 0.0
    probe: str | None = None  # The message that tells whether it is over; until it has come, nobody knows.

    def failed(self, now: float) -> float:
        """Count a failure. Return the seconds of the pause that begins with it, or 0."""
        self.failures += 1
        # Jobs that were in hand when a pause began fail during it, for the same reason.
        if self.failures < FAILURES or (self.pauses and self.probe is None):
            return 0.0
        # 2 ** 1024 would overflow.
        seconds = min(FIRST_PAUSE_SECONDS * 2 ** min(self.pauses, 10), LONGEST_PAUSE_SECONDS)
        self.pauses += 1
        self.until, self.probe = now + seconds, None
        return seconds

    def worked(self) -> None:
        """Take the outage for over."""
        self.failures, self.pauses, self.probe = 0, 0, None

    def allowed(self, now: float, wanted: int, under_way: int) -> int:
        """Return how many of the `wanted` messages to receive, with so many receives under way."""
        if not self.pauses:
            return wanted
        return int(wanted > 0 and now >= self.until and self.probe is None and not under_way)

    def arrived(self, now: float, message: str) -> None:
        """Take a message that comes after a pause for the probe."""
        if self.pauses and now >= self.until:
            self.probe = message

    def settled(self, message: str) -> None:
        """Make room for another probe if this was the one, and told nothing."""
        if self.probe == message:
            self.probe = None


class Receiving:
    """Whether the receivers of this process may receive, and the messages that they brought.

    The receivers ask before each ReceiveMessage; the jobs say how they fared. Without receivers all of it does nothing.
    """

    def __init__(self) -> None:
        self._pauses = Pauses()
        self._held: set[str] = set()
        self._under_way = 0
        self._stops = 0
        self._changed = threading.Condition()

    # For jobs.

    def failed(self, error: BaseException) -> None:
        """Note that a job failed because of AWS, and not because of its photo."""
        with self._changed:
            seconds = self._pauses.failed(time.monotonic())
        if seconds:
            log.warning("receiving_paused", seconds=seconds, error=f"{type(error).__name__}: {error}")

    def worked(self) -> None:
        """Note that a job got through: receiving goes on at once."""
        with self._changed:
            pauses = self._pauses.pauses
            self._pauses.worked()
            self._changed.notify_all()
        if pauses:
            log.info("receiving_resumed", pauses=pauses)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Receive nothing within the block. Wait for the long polls under way first: what they bring is worked on.

        Blocks may overlap, so two jobs that both wait here to be alone would wait for each other.
        """
        with self._changed:
            self._stops += 1
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._under_way)
            yield
        finally:
            with self._changed:
                self._stops -= 1
                self._changed.notify_all()

    def held(self) -> int:
        """Return how many messages this process holds: on their way to a job, or in work."""
        with self._changed:
            return len(self._held)

    # For the transport.

    def begin(self, wanted: int, stopped: threading.Event) -> int:
        """Return how many messages to ask for, after a wait if need be; each call that does not return 0 needs `end`.

        Return 0 if none may be received within a second, or as soon as `stopped` is set and `wake` called.
        """
        with self._changed:
            self._changed.wait_for(lambda: stopped.is_set() or self._allowed(wanted) > 0, LOOK_SECONDS)
            allowed = 0 if stopped.is_set() else self._allowed(wanted)
            if allowed:
                self._under_way += 1
            return allowed

    def _allowed(self, wanted: int) -> int:
        return 0 if self._stops else self._pauses.allowed(time.monotonic(), wanted, self._under_way)

    def end(self) -> None:
        """Note that a receive has ended, after its messages were reported as arrived."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def arrived(self, receipt_handles: Iterable[str]) -> None:
        """Note messages that are now held."""
        with self._changed:
            for handle in receipt_handles:
                self._held.add(handle)
                self._pauses.arrived(time.monotonic(), handle)

    def settled(self, receipt_handle: str) -> None:
        """Note that a message is no longer held."""
        with self._changed:
            self._held.discard(receipt_handle)
            self._pauses.settled(receipt_handle)
            self._changed.notify_all()

    def wake(self) -> None:
        """Have receivers that wait look whether they are stopped."""
        with self._changed:
            self._changed.notify_all()


RECEIVING = Receiving()
