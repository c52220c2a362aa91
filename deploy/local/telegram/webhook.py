"""Deliver updates to the bot's webhook, in order within each chat, until it answers 2xx."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from .calls import Call
from .faults import WEBHOOK, Faults, Rule
from .journal import Journal, logger
from .posts import Answer, Poster, WebhookConfig
from .settings import Settings
from .signals import Signal
from .updates import Update, Updates

_LONGEST_BACKOFF_SECONDS = (60, 120)
_LONGEST_RETRY_AFTER_SECONDS = 3600


class Webhook:
    """The delivery: one task for each queue that has updates.

    `execute` carries out a method call that came as the webhook's response.
    """

    def __init__(
        self,
        updates: Updates,
        settings: Settings,
        faults: Faults,
        journal: Journal,
        execute: Callable[[Call], Awaitable[None]],
    ) -> None:
        self.config: WebhookConfig | None = None
        self.last_error: tuple[int, str] | None = None
        self._updates, self._settings, self._faults, self._journal = updates, settings, faults, journal
        self._execute = execute
        self._poster = Poster()
        self._retry_now = Signal()
        self._slots = asyncio.Semaphore()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: Update | None = None

    def set(self, config: WebhookConfig | None) -> None:
        """Send updates there from now on; None holds them for getUpdates."""
        self.config, self.last_error = config, None
        if config:
            self._updates.end_poll("setWebhook request")
            self._slots = asyncio.Semaphore(config.max_connections)
        self._retry_now.notify()
        self._wake()

    def put(self, update: Update | None) -> None:
        """Queue an update, unless a `swap` holds it back until the next one is delivered."""
        if update is None:
            return
        if self._held is None and self._faults.take(WEBHOOK, update.chat_id, "swap"):
            self._held = update
            return
        if self._held:
            update.followers, self._held = [self._held], None
        self._updates.put(update)
        self._wake()

    def forget(self) -> None:
        """Drop everything that is pending."""
        self._held = None
        self._updates.clear()
        self._retry_now.notify()

    async def deliver_again(self, update: Update, times: int) -> list[int]:
        """Post `times` copies of an update at once, outside its queue; return the statuses."""
        answers = await asyncio.gather(*(self._post(update) for _ in range(times)))
        return [answer.status for answer in answers]

    async def stop(self) -> None:
        """End all deliveries and close the connections."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._poster.close()

    def _wake(self) -> None:
        for lane in self._updates.lanes if self.config else ():
            if lane not in self._tasks:
                self._tasks[lane] = asyncio.create_task(self._drain(lane))

    async def _drain(self, lane: str) -> None:
        """Deliver the updates of one queue, one at a time."""
        try:
            while self.config and (queue := self._updates.lanes.get(lane)):
                update = queue[0]
                answer = await self._deliver(update)
                if answer.accepted:
                    self._settle(update)
                else:
                    await self._back_off(update, answer)
        finally:
            del self._tasks[lane]

    async def _deliver(self, update: Update) -> Answer:
        """Post an update once, with the fault of a rule, if any."""
        rule = self._faults.take(
            WEBHOOK, update.chat_id, "delay", "drop", "apply_then_hang", "apply_then_drop", "duplicate"
        )
        if rule is None:
            return await self._post(update)
        if rule.effect == "drop":
            update.statuses.append(0)
            return Answer(error="Webhook connection closed")
        if rule.effect == "delay":
            await asyncio.sleep(rule.seconds)
        return await self._spoil(await self._post(update), update, rule)

    async def _spoil(self, answer: Answer, update: Update, rule: Rule) -> Answer:
        """Return what Telegram sees of the response under a rule."""
        if rule.effect == "duplicate" and answer.accepted:
            await self._post(update)
        elif rule.effect == "apply_then_drop":
            return Answer(error="Webhook connection closed")
        elif rule.effect == "apply_then_hang":
            await asyncio.sleep(rule.hang_seconds)
            return Answer(error="Read timeout expired")
        return answer

    def _settle(self, update: Update) -> None:
        self._updates.remove(update)
        self._wake()

    async def _back_off(self, update: Update, answer: Answer) -> None:
        """Wait as Telegram does: 0, 2, 4, 8, ... s, or as Retry-After says; drop what is too old."""
        self.last_error = (int(time.time()), answer.error)
        update.failures += 1
        longest = random.uniform(*_LONGEST_BACKOFF_SECONDS)  # noqa: S311
        # Beyond 2 ** 7 the cap applies anyway.
        delay = min(2.0 ** min(update.failures - 1, 7), longest) if update.failures > 1 else 0.0
        if answer.retry_after:
            delay = min(answer.retry_after, _LONGEST_RETRY_AFTER_SECONDS)
        seconds = self._settings.scaled(delay)
        if time.monotonic() + seconds > update.expires_at:
            logger.warning("webhook update=%s was dropped: %s", update.update_id, answer.error)
            self._settle(update)
            return
        logger.info("webhook update=%s again in %.2f s: %s", update.update_id, seconds, answer.error)
        if seconds:
            await self._retry_now.wait(seconds)

    async def _post(self, update: Update) -> Answer:
        if self.config is None:
            return Answer(error="no webhook is set")
        started = time.monotonic()
        async with self._slots:
            answer = await self._poster.post(self.config, update.body, self._settings.webhook_timeout_seconds)
        update.statuses.append(answer.status)
        detail = f"update={update.update_id} {answer.error}".rstrip()
        self._journal.write(WEBHOOK, update.chat_id, started, answer.status, detail)
        if answer.call:
            logger.warning("the webhook's response is carried out as %s: was that intended?", answer.call.method)
            await self._execute(answer.call)
        return answer
