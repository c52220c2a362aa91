"""Run a load test: send, follow each answer by its item and read the gauges, until all is answered or time is up."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from deploy import interrupts
from deploy.loadtest.gauges import Gauges, Point, Sample
from deploy.loadtest.local import Receipts
from deploy.loadtest.plan import LoadOptions, LoadTestError, Photo
from deploy.loadtest.send import Send, in_time, pause
from detection.record import queries

# The items hold the times of the answers: looking less often makes no latency longer.
_LOOK_SECONDS = 1.0
_BATCH = 100
# After an interrupt, how long to wait for answers that are on their way.
GRACE_SECONDS = 15.0
# Target tracking takes a quarter of an hour to start scaling in.
_SCALE_IN_SECONDS = 3600.0


@dataclass
class LoadRun:
    """A load test in progress; calls `changed(run)` whenever there is something new to show.

    `offsets` say when each photo is sent, in seconds after the start; `send` sends one to `url`.
    """

    options: LoadOptions
    offsets: Sequence[float]
    photos: Sequence[Photo]
    url: str
    send: Send
    gauges: Gauges
    receipts: Receipts | None = None
    changed: Callable[["LoadRun"], None] = lambda run: None
    started_at: float = field(default_factory=time.time)
    samples: list[Sample] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    # Set when no more photos are sent, and when nobody waits for answers any more.
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    # Not the time of day: clocks jump.
    _began: float = field(default_factory=time.monotonic)
    _settled_at: float | None = None
    _told_at: float | None = None
    _minimum: int | None = None

    @property
    def seconds(self) -> float:
        """Return how long the test has run, in seconds."""
        return time.monotonic() - self._began

    @property
    def waited(self) -> bool:
        """Return whether every answer had its full time: those still missing are lost."""
        return self.over.is_set() and not self.interrupted

    async def go(self) -> None:
        """Run to the end. Ctrl-C stops the sending, a second one the waiting for answers.

        Raise the first error of a task, such as that of a stack on this machine which breaks.
        """
        try:
            with interrupts.when_told(self._stop):
                await self._send_and_watch()
        except ExceptionGroup as failed:
            # The first failure cancelled the other tasks.
            raise failed.exceptions[0] from None
        await asyncio.to_thread(self._look)
        await asyncio.to_thread(self._sample)
        self.changed(self)

    async def _send_and_watch(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(in_time(self.photos, self.offsets, self.send, self.stopped))
            tasks.create_task(self._follow())
            tasks.create_task(self._watch())
            await self.over.wait()
            sending.cancel()

    def _stop(self) -> None:
        if self.interrupted:
            self.over.set()
        self.interrupted, self._told_at = True, self.seconds
        self.stopped.set()
        self.changed(self)

    async def _follow(self) -> None:
        """Look for answers until every photo has one or time is up."""
        while not self.over.is_set():
            await asyncio.to_thread(self._look)
            self.changed(self)
            if self._finished():
                self.over.set()
            await pause(self.over, min(_LOOK_SECONDS, self.options.interval))

    async def _watch(self) -> None:
        """Read the gauges at the chosen interval."""
        while not self.over.is_set():
            await asyncio.to_thread(self._sample)
            await pause(self.over, self.options.interval)

    def _look(self) -> None:
        """Read the items of the photos under way, and Telegram's count of answers."""
        open_photos = {photo.prediction_id: photo for photo in self.photos if photo.sent_at and not photo.settled}
        ids = list(open_photos)
        try:
            for first in range(0, len(ids), _BATCH):
                for prediction_id, prediction in queries.find_many(ids[first : first + _BATCH]).items():
                    open_photos[prediction_id].prediction = prediction
            if self.receipts:
                self.receipts.count(self.photos)
        except (ClientError, BotoCoreError, LoadTestError) as error:
            # A load test survives an outage: the next look shows what became of the photos.
            self.note(f"could not look for answers: {error}")

    def _sample(self) -> None:
        seconds, now = self.seconds, self.gauges.read()
        numbers = dict(now.numbers)
        self._minimum = numbers.pop("minimum", self._minimum)
        numbers.pop("maximum", None)
        for name, values in now.points.items():
            self.points += [Point(at - self.started_at, name, value) for at, value in values]
        for name, reason in now.missing.items():
            self.note(f"{name} missing: {reason}")
        sent = sum(photo.sent_at is not None for photo in self.photos)
        taken = sum(photo.taken_at is not None for photo in self.photos)
        answered = sum(photo.answered for photo in self.photos)
        self.samples.append(Sample(seconds, sent, taken, answered, alarms=now.alarms, missing=now.missing, **numbers))

    def note(self, text: str) -> None:
        """Add a remark to the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def _finished(self) -> bool:
        """Return whether there is nothing left to wait for."""
        if self._told_at is not None:
            return self._all_settled() or self.seconds > self._told_at + GRACE_SECONDS
        if not self._all_settled():
            return self.seconds > self.offsets[-1] + self.options.timeout
        if self._settled_at is None:
            self._settled_at = self.seconds
        waited = self.seconds - self._settled_at
        return waited >= self.options.settle and (not self.options.until_scaled_in or self._scaled_in(waited))

    def _all_settled(self) -> bool:
        """Return whether every photo that was or will be sent has its answer."""
        expected = [photo for photo in self.photos if photo.sent_at or not self.interrupted]
        return all(photo.settled for photo in expected)

    def _scaled_in(self, waited: float) -> bool:
        if waited > _SCALE_IN_SECONDS:
            self.note(f"the group had not scaled in {waited:.0f} s after the last answer")
            return True
        instances = self.samples[-1].instances
        return instances is not None and self._minimum is not None and instances <= self._minimum
