"""Pause receiving during an outage, so that waiting messages do not use up their receives.

A job that fails because a service it needs is down goes back to its queue with one receive less left. So receiving
pauses after a few such failures in a row; after each pause one message is received as a probe, until a job succeeds.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .options import Options

LOOK_SECONDS = 1.0  # A waiting receiver checks this often.

log = logging.getLogger(__name__)


@dataclass
class Pauses:
    """What is known about an outage; the caller supplies the time. Each pause is twice as long as the last."""

    failures: int = 0  # in a row
    pauses: int = 0  # since a job last succeeded
    until: float = 0.0
    probe: str | None = None  # The message that will tell whether it is over, once it has arrived.
    options: Options = field(default_factory=Options)

    def failed(self, now: float) -> float:
        """Count a failure. Return the length of the pause it starts, in seconds, or 0."""
        self.failures += 1
        # Jobs already in work when a pause began fail during it, for the same reason.
        if self.failures < self.options.failures_before_pause or (self.pauses and self.probe is None):
            return 0.0
        # 2 ** 1024 would overflow.
        seconds = min(self.options.first_pause_seconds * 2 ** min(self.pauses, 10), self.options.longest_pause_seconds)
        self.pauses += 1
        self.until, self.probe = now + seconds, None
        return seconds

    def worked(self) -> None:
        """Consider the outage over."""
        self.failures, self.pauses, self.probe = 0, 0, None

    def allowed(self, now: float, wanted: int, under_way: int) -> int:
        """Return how many of the `wanted` messages to receive while so many receives are in flight."""
        if not self.pauses:
            return wanted
        return int(wanted > 0 and now >= self.until and self.probe is None and not under_way)

    def arrived(self, now: float, message: str) -> None:
        """Make a message that arrives after a pause the probe."""
        if self.pauses and now >= self.until:
            self.probe = message

    def settled(self, message: str) -> None:
        """Allow another probe if this was the probe and it ended without a verdict."""
        if self.probe == message:
            self.probe = None


class Receiving:
    """Whether the receivers of this process may receive, and the messages they brought.

    Receivers ask before each ReceiveMessage; jobs report how they fared. Without receivers it has no effect.
    """

    def __init__(self) -> None:
        self._pauses = Pauses()
        self._held: set[str] = set()
        self._under_way = 0
        self._stops = 0
        self._closed: Callable[[], bool] = lambda: False
        self._idle: Callable[[], None] = lambda: None
        self._hear: Callable[[], None] = lambda: None
        self._say: Callable[[str], object] = self.noted
        self._is_child = False
        self._changed = threading.Condition()

    def stop_while(self, closed: Callable[[], bool]) -> None:
        """Have receivers ask this function each time, and receive nothing while it returns True.

        It may take some seconds, which delay a receive, and must not raise.
        """
        self._closed = closed

    def when_idle(self, idle: Callable[[], None]) -> None:
        """Have receivers call this function each time SQS has no message while this process holds none.

        It must not raise.
        """
        self._idle = idle

    # For jobs.

    def failed(self, error: BaseException) -> None:
        """Report a job that failed because a service was down, not because of its own content."""
        self._say(f"{type(error).__name__}: {error}")

    def worked(self) -> None:
        """Report a job that succeeded: receiving resumes at once."""
        self._say("")

    def noted(self, error: str) -> None:
        """Count what a job has reported: an error, or "" where it worked."""
        if error:
            self._note_failure(error)
        else:
            self._note_success()

    def _note_failure(self, error: str) -> None:
        with self._changed:
            seconds = self._pauses.failed(time.monotonic())
        if seconds:
            log.warning("receiving_paused", extra={"seconds": seconds, "error": error})

    def _note_success(self) -> None:
        with self._changed:
            pauses = self._pauses.pauses
            self._pauses.worked()
            self._changed.notify_all()
        if pauses:
            log.info("receiving_resumed", extra={"pauses": pauses})

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Receive nothing within the block, which begins once the long polls in flight are over; jobs they bring run.

        Blocks may overlap: two jobs that each wait in one for the other to finish would wait forever.
        """
        if self._is_child:
            raise RuntimeError("a child process cannot stop the receiving of its worker: that takes the threads pool")
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

    @property
    def paused(self) -> bool:
        """Return whether jobs have failed in a row, and none has succeeded since."""
        return self._pauses.pauses > 0

    def held(self) -> int:
        """Return how many messages this process holds, in work or on their way there."""
        with self._changed:
            return len(self._held)

    # For the transport.

    def before_settled(self, hear: Callable[[], None]) -> None:
        """Call this function, from any thread, before a message counts as settled."""
        self._hear = hear

    def become_child(self, say: Callable[[str], object]) -> None:
        """Have reports passed to this function; whoever held a lock has stayed behind in the parent."""
        self._say, self._is_child, self._changed = say, True, threading.Condition()

    def configure(self, options: Options) -> None:
        """Pause as these options say."""
        self._pauses.options = options

    def begin(self, wanted: int, stopped: threading.Event) -> int:
        """Wait until receiving is allowed and return for how many messages; unless that is 0, call `end` afterwards.

        Return 0 after a second without permission, or once `stopped` is set and `wake` called.
        """
        if self._closed():
            stopped.wait(LOOK_SECONDS)
            return 0
        with self._changed:
            self._changed.wait_for(lambda: stopped.is_set() or self._allowed(wanted) > 0, LOOK_SECONDS)
            allowed = 0 if stopped.is_set() else self._allowed(wanted)
            if allowed:
                self._under_way += 1
            return allowed

    def _allowed(self, wanted: int) -> int:
        return 0 if self._stops else self._pauses.allowed(time.monotonic(), wanted, self._under_way)

    def end(self) -> None:
        """Report that a receive has ended, after reporting its messages as arrived."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def nothing_arrived(self) -> None:
        """Report that SQS has answered, and has no message."""
        if not self.held():
            self._idle()

    def arrived(self, receipt_handles: Iterable[str]) -> None:
        """Report messages that are now held."""
        with self._changed:
            for handle in receipt_handles:
                self._held.add(handle)
                self._pauses.arrived(time.monotonic(), handle)

    def settled(self, receipt_handle: str) -> None:
        """Report that a message is no longer held."""
        self._hear()
        with self._changed:
            self._held.discard(receipt_handle)
            self._pauses.settled(receipt_handle)
            self._changed.notify_all()

    def wake(self) -> None:
        """Make waiting receivers check whether they have been stopped."""
        with self._changed:
            self._changed.notify_all()


# One for the process: tasks report to it without knowing a channel.
RECEIVING = Receiving()
