"""Do what the command line of a load test asks for, from the first check to the written report."""

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from botsite.bot import connections
from deploy.loadtest import arrivals, files, local, numbering, pictures, prepare, receipts, updates
from deploy.loadtest.errors import LoadTestError
from deploy.loadtest.gauges import Gauges, Known, target
from deploy.loadtest.records import Plan
from deploy.loadtest.report import Report
from deploy.loadtest.run import Run
from deploy.loadtest.screen import Screen
from deploy.local import sample
from deploy.local.stopping import stoppable

_MOST_CHATS = 1000


@dataclass(frozen=True)
class Options:
    """The command's options; times are in seconds, `rate` in photos a second."""

    photos: int
    rate: float
    shape: str
    trace: Path | None
    folder: Path | None
    chat_ids: Sequence[int]
    prefix: str
    out: Path
    timeout: float
    interval: float
    settle: float
    until_scaled_in: bool
    local: bool

    def offsets(self) -> list[float]:
        """Return when each photo is sent."""
        return arrivals.trace(self.trace) if self.trace else arrivals.SHAPES[self.shape](self.photos, self.rate)

    def title(self, photos: int, where: str) -> str:
        """Return what is sent, and where."""
        when = self.trace.name if self.trace else "burst" if self.shape == "burst" else f"{self.shape}, {self.rate:g}/s"
        return f"Load test: {photos} photos ({when}) on {where}"


def run(options: Options, screen: Screen) -> Report | None:
    """Run the test and write its report; None if it was stopped before a photo was sent.

    Raise LoadTestError for what cannot work, botocore's errors for what AWS refuses.
    """
    offsets, report = options.offsets(), None
    on_this_machine = options.local or not _stack_is_named()
    images = _images(options.folder, chosen=on_this_machine)
    with stoppable():
        if on_this_machine and not options.local:
            screen.step("the environment names no stack: one is started here for the test (--local)")
        with local.stack(options.out / "stack", screen.step) if on_this_machine else nullcontext() as known:
            prepare.check_settings()
            prepare.check_table()
            done = asyncio.run(_test(options, offsets, images, known, screen))
            title = options.title(len(offsets), local.WHERE if on_this_machine else _where())
            report = Report.of(done, title, target())
            files.save(report, options.out, asdict(options))
    return report


def _stack_is_named() -> bool:
    return bool(settings.AWS_ENDPOINT_URL) or any(getattr(settings, name) for name in prepare.NEEDS)


def _images(folder: Path | None, *, chosen: bool) -> list[bytes]:
    """Return the photos of the folder, else one that suits the model; of an unknown one, a street scene."""
    if folder:
        return pictures.of_folder(folder)
    return [sample.choose().photo if chosen or os.environ.get("YOLO_WEIGHTS") else sample.bus()]


def _where() -> str:
    return (
        f"an emulated AWS, {settings.AWS_ENDPOINT_URL}" if settings.AWS_ENDPOINT_URL else f"AWS, {settings.AWS_REGION}"
    )


async def _test(
    options: Options,
    offsets: Sequence[float],
    images: Sequence[bytes],
    known: Callable[[], Known] | None,
    screen: Screen,
) -> Run:
    """Check, give Telegram the photos, send, and follow."""
    gauges = Gauges(known)
    if options.until_scaled_in:
        await asyncio.to_thread(prepare.check_group, gauges)
    sender = await prepare.sender(options.prefix)
    try:
        counter = await asyncio.to_thread(receipts.find)
        chat_ids = await _chats(options, len(offsets), made_up=counter is not None)
        uploaded = await pictures.upload(images, chat_ids[0], screen.step)
        if counter:
            await asyncio.to_thread(counter.skip)
        photos = updates.photos(len(offsets), chat_ids, uploaded.sizes)
        plan = Plan(offsets, options.timeout, options.interval, options.settle, options.until_scaled_in)
        run = Run(plan, photos, sender, counter, gauges, screen.show)
        if settings.AWS_ENDPOINT_URL and not known:
            run.note("instances and alarms are as the emulator has them: in service at once, raised by a single value")
        with screen.live():
            await run.go()
        run.note(await numbering.say(run.tally(), chat_ids, uploaded.last_message_id))
        return run
    finally:
        await sender.client.aclose()
        await connections.close()


async def _chats(options: Options, photos: int, *, made_up: bool) -> Sequence[int]:
    """Return the chats to send from. Raise LoadTestError for one that the bot cannot write to."""
    if options.chat_ids:
        await prepare.check_chats(options.chat_ids)
        return options.chat_ids
    if not made_up:
        raise LoadTestError(
            "Answers go to real chats here: name them with --chat-ids. Whoever they belong to has pressed Start in the "
            "bot, and expects these photos."
        )
    first = 10**9 + secrets.randbelow(10**9)
    return range(first, first + min(photos, _MOST_CHATS))
