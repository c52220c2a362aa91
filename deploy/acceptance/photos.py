"""Send photos, as the load test does, and measure how long machines and answers took."""

import asyncio
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from deploy import background
from deploy.acceptance.account import Account
from deploy.acceptance.plan import AcceptanceOptions
from deploy.acceptance.report import Measure, StepFailed
from deploy.loadtest import report, session
from deploy.loadtest.follow import LoadRun
from deploy.loadtest.gauges import Gauges, Sample
from deploy.loadtest.plan import LoadOptions
from deploy.loadtest.send import Sizes
from deploy.patience import Say
from deploy.provision import Order
from deploy.service import Service

_SETTLE_SECONDS = 1.0
Meanwhile = Callable[[threading.Event], None]


@dataclass
class Rehearsal:
    """What the steps share. `say` shows what a step does just now; `answered` counts the photos that got a result."""

    options: AcceptanceOptions
    order: Order
    place: Account
    say: Say
    answered: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _uploaded: list[Sizes] = field(default_factory=list)

    @property
    def service(self) -> Service:
        """Return the run's own service."""
        return self.order.service

    def shoot(self, offsets: Sequence[float], timeout: float, meanwhile: Meanwhile = lambda over: None) -> LoadRun:
        """Send photos at these offsets, in seconds, and wait for their answers, at most `timeout` after the last one.

        `meanwhile` runs in a thread, and is to end with its event. Raise KeyboardInterrupt at Ctrl-C, LoadTestError
        where nothing can be sent, and what `meanwhile` raises.
        """
        over = threading.Event()
        other = background.start(partial(meanwhile, over))
        try:
            run = asyncio.run(self._shoot(offsets, min(timeout, self.place.patience)))
        finally:
            over.set()
        if run.interrupted:
            raise KeyboardInterrupt
        other.result()
        return run

    async def _shoot(self, offsets: Sequence[float], timeout: float) -> LoadRun:
        async with self._prepared(offsets, timeout) as run:
            run.changed = self._changed
            await run.go()
            return run

    def _prepared(self, offsets: Sequence[float], timeout: float) -> AbstractAsyncContextManager[LoadRun]:
        asked, photo, gauges = self.options, self.place.photo(), Gauges(self.place.known)
        options = LoadOptions(
            asked.prefix,
            asked.out,
            len(offsets),
            chat_ids=asked.chat_ids,
            timeout=timeout,
            interval=self.place.interval,
            settle=_SETTLE_SECONDS,
        )
        if asked.bot:
            return session.by_webhook(options, offsets, [photo], gauges, self.say, self._uploaded)
        return session.by_queue(options, offsets, photo, gauges)

    def _changed(self, run: LoadRun) -> None:
        if run.interrupted:
            # Nobody waits for answers: all is about to be deleted.
            run.over.set()
        tally = report.tally(run.photos, waited=run.waited)
        sample = run.samples[-1] if run.samples else None
        machines = f", {sample.in_service} of {sample.desired} workers" if sample else ""
        self.say(f"{tally.answered} of {tally.photos} answered{machines}")


def alarms(done: LoadRun) -> Iterator[Measure]:
    """Measure when the alarms rang."""
    for name, seconds in report.first_alarms(done.samples).items():
        # EC2 Auto Scaling ends the names of its own with an id.
        kind = next((kind for kind in ("AlarmHigh", "AlarmLow") if kind in name), "")
        short = name[: name.index(kind) + len(kind)] if kind else name
        yield Measure(f"alarm {short}", seconds, "s", "after the first photo was sent")


def start(done: LoadRun, what: str) -> Iterator[Measure]:
    """Measure how long the first worker took, from the wish for it to its first job."""
    wanted = _first(done, lambda sample: bool(sample.desired))
    if wanted is None:
        return
    yield Measure("a worker wanted", wanted, "s", "after the photo was sent")
    if (there := _first(done, lambda sample: bool(sample.in_service))) is not None:
        yield Measure(f"{what}, until in service", there - wanted, "s")
    if (works := _first_job(done)) is not None:
        yield Measure(f"{what}, until the first job", works - wanted, "s")


def most(done: LoadRun, number: Callable[[Sample], int | None]) -> float:
    """Return the largest reading of a gauge, NaN if it was never read."""
    return max((found for sample in done.samples if (found := number(sample)) is not None), default=math.nan)


def answers(run: Rehearsal, *shots: LoadRun) -> Iterator[Measure]:
    """Measure how long the answers took; raise StepFailed if one was lost or doubled."""
    tallies = [report.tally(shot.photos, waited=shot.waited) for shot in shots]
    waits = [wait for shot in shots for _, wait in report.latencies(shot.photos, report.clock_ahead(shot.photos))]
    answered, lost = sum(one.answered for one in tallies), sum(one.lost for one in tallies)
    run.answered += answered
    yield Measure("answered", answered, f"of {sum(one.sent for one in tallies)} photos")
    for name, seconds in report.percentiles(waits, (50, 95, 100) if len(waits) > 1 else (100,)).items():
        yield Measure("slowest answer" if name == "p100" else f"{name} to the answer", seconds, "s")
    doubled = [one.doubled for one in tallies if one.doubled is not None]
    if not doubled:
        yield Measure("doubled", None, note="only who reads the chats can count answers")
    apologies = sum(one.apologies for one in tallies)
    if lost or any(doubled) or apologies:
        raise StepFailed(f"{lost} lost, {sum(doubled)} doubled, {apologies} apologies")


def _first(done: LoadRun, is_so: Callable[[Sample], bool]) -> float | None:
    return next((sample.seconds for sample in done.samples if is_so(sample)), None)


def _first_job(done: LoadRun) -> float | None:
    """Return when the first job was started, in seconds after the start of the run."""
    ahead = report.clock_ahead(done.photos)
    started = [one.prediction.started_at for one in done.photos if one.prediction and one.prediction.started_at]
    return min(at.timestamp() for at in started) - ahead - done.started_at if started else None
