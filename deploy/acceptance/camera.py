"""Send photos and follow their answers, as the load test does: through the webhook, or without a bot by the queue."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial

from botsite.bot.telegram import client
from deploy import background
from deploy.acceptance import jobs
from deploy.acceptance.places import Place, Say
from deploy.acceptance.plan import Options
from deploy.loadtest import follow, local, plan, report, send, session
from deploy.loadtest.follow import Run
from deploy.loadtest.gauges import Gauges
from deploy.loadtest.plan import Photo
from deploy.loadtest.send import Sizes

_SETTLE_SECONDS = 1.0
Meanwhile = Callable[[threading.Event], None]


def _nothing(over: threading.Event) -> None:
    """Do nothing."""


class Camera:
    """Sends photos in one place. `say` is told the progress."""

    def __init__(self, options: Options, place: Place, say: Say) -> None:
        self._options, self._place, self._say = options, place, say
        self._uploaded: Sequence[Sizes] = ()

    def shoot(self, offsets: Sequence[float], timeout: float, meanwhile: Meanwhile = _nothing) -> Run:
        """Send photos at these offsets, in seconds, and wait for their answers, at most `timeout` after the last one.

        `meanwhile` runs in a thread, and is to end with its event. Raise KeyboardInterrupt at Ctrl-C, LoadTestError
        where nothing can be sent, and what `meanwhile` raises.
        """
        over = threading.Event()
        other = background.start(partial(meanwhile, over))
        try:
            run = asyncio.run(self._shoot(offsets, self._place.patience(timeout)))
        finally:
            over.set()
        if run.interrupted:
            raise KeyboardInterrupt
        other.result()
        return run

    async def _shoot(self, offsets: Sequence[float], timeout: float) -> Run:
        run = await (self._by_webhook if self._options.bot else self._by_queue)(offsets, timeout)
        try:
            await run.go()
            return run
        finally:
            if isinstance(run.sender, send.Sender):
                await run.sender.client.aclose()
            await client.close()

    async def _by_webhook(self, offsets: Sequence[float], timeout: float) -> Run:
        sender = await session.webhook(self._options.prefix)
        receipts = await asyncio.to_thread(local.receipts)
        chats = await session.chats(self._options.chat_ids, len(offsets), made_up=receipts is not None)
        if not self._uploaded:
            self._uploaded, _ = await send.upload([self._place.photo()], chats[0], self._say)
        if receipts:
            await asyncio.to_thread(receipts.skip)
        photos = send.photos(len(offsets), chats, self._uploaded)
        return self._run(offsets, timeout, photos, sender, receipts)

    async def _by_queue(self, offsets: Sequence[float], timeout: float) -> Run:
        return self._run(offsets, timeout, jobs.photos(len(offsets)), jobs.Queue(self._place.photo()), None)

    def _run(
        self,
        offsets: Sequence[float],
        timeout: float,
        photos: Sequence[Photo],
        sender: follow.Sends,
        receipts: follow.Receipts | None,
    ) -> Run:
        options = plan.Options(
            photos=len(offsets),
            rate=1.0,
            shape="burst",
            trace=None,
            folder=None,
            chat_ids=(),
            prefix=self._options.prefix,
            out=self._options.out,
            timeout=timeout,
            interval=self._place.interval,
            settle=_SETTLE_SECONDS,
            until_scaled_in=False,
            local=False,
        )
        return Run(options, offsets, photos, sender, receipts, Gauges(self._place.known()), self._changed)

    def _changed(self, run: Run) -> None:
        if run.interrupted:
            # Nobody waits for answers: all is about to be deleted.
            run.over.set()
        tally = report.tally(run.photos, waited=run.waited)
        sample = run.samples[-1] if run.samples else None
        machines = f", {sample.in_service} of {sample.desired} workers" if sample else ""
        self._say(f"{tally.answered} of {tally.photos} answered{machines}")
