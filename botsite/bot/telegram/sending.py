"""Send something to Telegram: in its turn under the limits, with buttons, as a reply, into a topic."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters
from telegram import error as telegram

from botsite import rate_limit
from botsite.bot.telegram.errors import TelegramError, translate
from botsite.threads import in_thread

log = structlog.get_logger()

# A send is given up after this, whatever it waits for: what Telegram took and did not confirm would come twice.
# deliveries.LEASE has to be longer.
LONGEST_SEND_SECONDS = 75
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message; `data` (64 bytes at most) comes back when it is pressed, or it opens `url`.

    What destroys something has the `style` "danger", which is red.
    """

    text: str
    data: str = ""
    url: str = ""
    style: str = ""

    def inline(self) -> InlineKeyboardButton:
        """Return it as Telegram takes it."""
        return InlineKeyboardButton(
            self.text, url=self.url or None, callback_data=self.data or None, style=self.style or None
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG of an album, or another file if it has a `name`; a `spoiler` is hidden until somebody taps it."""

    content: bytes
    spoiler: bool = False
    name: str = ""


# Rows of buttons.
Keyboard = Sequence[Sequence[Button]]


@asynccontextmanager
async def turn(
    chat_id: int,
    action: str,
    before: float,
    limit_of: Callable[[int], rate_limit.Limit] = rate_limit.chat,
    *,
    messages: int = 1,
    taken: bool = False,
) -> AsyncIterator[None]:
    """Wait for a turn under Telegram's limits, then send; a 429 holds back this chat for all senders.

    Telegram counts each picture of an album as a message. The chat's turn comes first, unless it is `taken` already: it
    may be far away, and a turn of the bot's must not pass unused meanwhile.
    """
    chat, probed, waited = limit_of(chat_id), list[rate_limit.Limit](), False
    try:
        for limit in (rate_limit.BOT,) if taken else (chat, rate_limit.BOT):
            permit = await in_thread(rate_limit.reserve)(limit, messages)
            if permit.probe:
                probed.append(limit)
            waited = waited or (limit is chat and permit.wait_seconds > 0)
            await asyncio.sleep(permit.wait_seconds)
        if time.monotonic() > before:
            raise TelegramError(f"{action} to chat {chat_id}: its turn came too late", permanent=False)
        async with asyncio.timeout(LONGEST_SEND_SECONDS):
            yield
    except TimeoutError as error:
        raise TelegramError(f"{action} to chat {chat_id}: no answer in time", permanent=False) from error
    except rate_limit.TooBusy as error:
        message, again = f"{action} to chat {chat_id}: {error}", error.retry_after_seconds
        full = limit is chat
        raise TelegramError(message, permanent=False, retry_after_seconds=again, chat_full=full) from error
    except telegram.TelegramError as error:
        translated = translate(f"{action} to chat {chat_id}", error)
        if seconds := translated.retry_after_seconds:
            again = await in_thread(rate_limit.refused)(chat_id, seconds, own=waited or chat in probed, limit=chat)
            translated.retry_after_seconds = again
        raise translated from error
    for limit in probed:
        await _resume(limit, messages)


async def _resume(limit: rate_limit.Limit, messages: int) -> None:
    """End a pause that has turned out to be over; a failure to do so must not fail the answer, which is sent."""
    try:
        await in_thread(rate_limit.resume)(limit, messages)
    except (ClientError, BotoCoreError) as error:
        log.warning("pause_not_ended", limit=limit.key, error=str(error))


def reply_to_message(message_id: int | None) -> ReplyParameters | None:
    """Return what makes a message a reply, or one without if that message is gone."""
    return ReplyParameters(message_id, allow_sending_without_reply=True) if message_id else None


def keyboard_of(rows: Keyboard) -> InlineKeyboardMarkup | None:
    """Return rows of buttons as Telegram takes them, None for none."""
    if not rows:
        return None
    return InlineKeyboardMarkup([[button.inline() for button in row] for row in rows])


async def in_topic(thread_id: int | None, send: Callable[[int | None], Awaitable[T]]) -> T:
    """Send into a topic, or to the group's General if that topic is gone: the answer is owed to somebody."""
    try:
        return await send(thread_id)
    except telegram.BadRequest as error:
        if thread_id is None or "message thread not found" not in error.message.lower():
            raise
        log.info("topic_gone", thread_id=thread_id)
        return await send(None)


@contextmanager
def unchanged_is_fine() -> Iterator[None]:
    """Take an edit that changes nothing as done: the one before it got through, but its reply was lost."""
    try:
        yield
    except TelegramError as error:
        if "message is not modified" not in str(error).lower():
            raise
