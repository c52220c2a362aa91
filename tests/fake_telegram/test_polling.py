"""Updates can also be polled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from telegram import (
    Bot,
    Update,
)
from telegram.error import Conflict

from tests.fake_telegram.service import Fake, polled

pytestmark = pytest.mark.slow


@pytest.mark.smoke
def test_polling_confirms_updates_before_offset(telegram: Fake) -> None:
    async def poll_while_someone_writes(bot: Bot) -> tuple[Update, ...]:
        polling = asyncio.create_task(bot.get_updates(timeout=20))
        await asyncio.to_thread(telegram.user().send_text, "hello")
        return await polling

    (update,) = telegram.bot(poll_while_someone_writes)
    assert polled(telegram) == [update]
    assert telegram.bot(lambda bot: bot.get_updates(offset=update.update_id + 1)) == ()
    assert polled(telegram) == []


def test_polling_conflicts_with_webhook_and_other_poll(telegram: Fake) -> None:
    async def two_polls(bot: Bot) -> tuple[Any, ...]:
        first = asyncio.create_task(bot.get_updates(timeout=20))
        second = asyncio.create_task(bot.get_updates(timeout=20))
        await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(telegram.user().send_text, "hello")
        return await asyncio.gather(first, second, return_exceptions=True)

    results = telegram.bot(two_polls)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "tuple"]
    telegram.bot(lambda bot: bot.set_webhook("http://127.0.0.1:9/"))
    with pytest.raises(Conflict, match="webhook is active"):
        polled(telegram)


def test_new_webhook_ends_poll(telegram: Fake) -> None:
    async def poll_until_webhook(bot: Bot) -> None:
        polling = asyncio.create_task(bot.get_updates(timeout=20))
        while not await asyncio.to_thread(telegram.control.calls, "getMe"):
            await bot.get_me()
        await bot.set_webhook("http://127.0.0.1:9/")
        await polling

    with pytest.raises(Conflict, match="terminated by setWebhook"):
        telegram.bot(poll_until_webhook)
