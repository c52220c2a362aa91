"""Call the Bot API: send, under Telegram's limits, and ask."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError
from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    Message,
    ReplyParameters,
    WebhookInfo,
)
from telegram import error as telegram

from botsite.bot.telegram import client, rate_limit
from botsite.bot.telegram.errors import TelegramError, translate

log = structlog.get_logger()

# A send is given up after this, whatever it waits for: what Telegram took and did not confirm would come twice.
# deliveries.LEASE has to be longer.
LONGEST_SEND_SECONDS = 75
ALBUM_AT_MOST = rate_limit.BOT.most_at_once
_in_thread = sync_to_async(thread_sensitive=False)
_usernames: dict[int, str] = {}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message; `data` (64 bytes at most) comes back when it is pressed."""

    text: str
    data: str


# Rows of buttons.
Keyboard = Sequence[Sequence[Button]]


async def username() -> str:
    """Return the bot's own @name, without the @ and in lower case; asked for once per process."""
    number = await _in_thread(client.bot_id)()
    if number not in _usernames:
        _usernames[number] = await _asked_username()
    return _usernames[number]


@client.with_the_stored_token
async def _asked_username() -> str:
    bot = await client.bot()
    try:
        return str((await bot.get_me()).username).lower()
    except telegram.TelegramError as error:
        raise translate("getMe", error) from error


@client.with_the_stored_token
async def send_text(
    chat_id: int,
    text: str | Callable[[], Awaitable[str]],
    reply_to: int | None = None,
    *,
    thread_id: int | None = None,
    keyboard: Keyboard = (),
    before: float = math.inf,
) -> Message:
    """Send a text, as a reply if the message `reply_to` still exists; not later than `before` (monotonic seconds).

    One that takes work to make is given as a function, which is called once the chat has its turn.
    """
    bot = await client.bot()
    async with sending(chat_id, "sendMessage", before):
        said = text if isinstance(text, str) else await text()
        return await in_topic(
            thread_id,
            lambda topic: bot.send_message(
                chat_id,
                said,
                message_thread_id=topic,
                reply_parameters=reply_to_message(reply_to),
                reply_markup=keyboard_of(keyboard),
                read_timeout=LONGEST_SEND_SECONDS,
            ),
        )


@client.with_the_stored_token
async def send_image(
    chat_id: int,
    image: bytes | str,
    caption: str,
    *,
    form: Literal["photo", "document"],
    name: str,
    reply_to: int | None,
    thread_id: int | None = None,
    keyboard: Keyboard = (),
    thumbnail: bytes | None = None,
    before: float = math.inf,
) -> Message:
    """Send a JPEG with its caption (at most 1024 characters) as a photo, or any file of that name as a document.

    A text instead of bytes is the id of a file that Telegram has. A document may have a small JPEG as its thumbnail.
    Not later than `before` (monotonic seconds), which is when the sender's lease may run out.
    """
    bot = await client.bot()
    # Bytes, never a stream: a stream that was read by a failed try sends nothing the next time.
    arguments: dict[str, Any] = {
        "caption": caption,
        "reply_parameters": reply_to_message(reply_to),
        "reply_markup": keyboard_of(keyboard),
        "filename": name,
        "read_timeout": LONGEST_SEND_SECONDS,
    }
    async with sending(chat_id, form, before):
        if form == "photo":
            return await in_topic(
                thread_id, lambda topic: bot.send_photo(chat_id, image, message_thread_id=topic, **arguments)
            )
        return await in_topic(
            thread_id,
            lambda topic: bot.send_document(chat_id, image, thumbnail=thumbnail, message_thread_id=topic, **arguments),
        )


@client.with_the_stored_token
async def send_album(
    chat_id: int,
    pictures: Sequence[bytes],
    *,
    caption: str = "",
    form: Literal["photo", "document"] = "photo",
    reply_to: int,
    thread_id: int | None = None,
    before: float = math.inf,
) -> None:
    """Send 1 to ALBUM_AT_MOST JPEGs as a reply: several as an album, which Telegram doesn't make of one."""
    if len(pictures) == 1:
        await send_image(
            chat_id,
            pictures[0],
            caption,
            form=form,
            name="crop.jpg",
            reply_to=reply_to,
            thread_id=thread_id,
            before=before,
        )
        return
    bot = await client.bot()
    of_form = InputMediaPhoto if form == "photo" else InputMediaDocument
    media = [of_form(picture, filename=f"{number}.jpg") for number, picture in enumerate(pictures, 1)]
    async with sending(chat_id, "sendMediaGroup", before, messages=len(media)):
        await in_topic(
            thread_id,
            lambda topic: bot.send_media_group(
                chat_id,
                media,
                caption=caption or None,
                message_thread_id=topic,
                reply_parameters=reply_to_message(reply_to),
                read_timeout=LONGEST_SEND_SECONDS,
            ),
        )


@client.with_the_stored_token
async def show_activity(chat_id: int, thread_id: int | None = None) -> None:
    """Show "sending photo..." in the chat, or in a topic of it, for five seconds."""
    bot = await client.bot()
    try:
        await bot.send_chat_action(
            chat_id, "upload_photo", message_thread_id=thread_id, read_timeout=3, connect_timeout=2
        )
    except telegram.TelegramError as error:
        raise translate(f"sendChatAction to chat {chat_id}", error) from error


@client.with_the_stored_token
async def webhook() -> WebhookInfo:
    """Return where Telegram sends this bot's updates, and how that goes."""
    bot = await client.bot()
    try:
        return await bot.get_webhook_info()
    except telegram.TelegramError as error:
        raise translate("getWebhookInfo", error) from error


async def in_topic(thread_id: int | None, send: Callable[[int | None], Awaitable[T]]) -> T:
    """Send into a topic, or to the group's General if that topic is gone: the answer is owed to somebody."""
    try:
        return await send(thread_id)
    except telegram.BadRequest as error:
        if thread_id is None or "message thread not found" not in error.message.lower():
            raise
        log.info("topic_gone", thread_id=thread_id)
        return await send(None)


@asynccontextmanager
async def sending(
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
    chat, probed = limit_of(chat_id), list[rate_limit.Limit]()
    try:
        for limit in (rate_limit.BOT,) if taken else (chat, rate_limit.BOT):
            permit = await _in_thread(rate_limit.reserve)(limit, messages)
            if permit.probe:
                probed.append(limit)
            await asyncio.sleep(permit.wait_seconds)
        if time.monotonic() > before:
            raise TelegramError(f"{action} to chat {chat_id}: its turn came too late", permanent=False)
        async with asyncio.timeout(LONGEST_SEND_SECONDS):
            yield
    except TimeoutError as error:
        raise TelegramError(f"{action} to chat {chat_id}: no answer in time", permanent=False) from error
    except rate_limit.TooBusy as error:
        message, again = f"{action} to chat {chat_id}: {error}", error.retry_after_seconds
        raise TelegramError(message, permanent=False, retry_after_seconds=again) from error
    except telegram.TelegramError as error:
        translated = translate(f"{action} to chat {chat_id}", error)
        if seconds := translated.retry_after_seconds:
            again = await _in_thread(rate_limit.refused)(chat_id, seconds, probe=chat in probed, limit=chat)
            translated.retry_after_seconds = again
        raise translated from error
    for limit in probed:
        await _resume(limit, messages)


async def _resume(limit: rate_limit.Limit, messages: int) -> None:
    """End a pause that has turned out to be over; a failure to do so must not fail the answer, which is sent."""
    try:
        await _in_thread(rate_limit.resume)(limit, messages)
    except (ClientError, BotoCoreError) as error:
        log.warning("pause_not_ended", limit=limit.key, error=str(error))


def reply_to_message(message_id: int | None) -> ReplyParameters | None:
    """Return what makes a message a reply, or one without if that message is gone."""
    return ReplyParameters(message_id, allow_sending_without_reply=True) if message_id else None


def keyboard_of(rows: Keyboard) -> InlineKeyboardMarkup | None:
    """Return rows of buttons as Telegram takes them, None for none."""
    if not rows:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(button.text, callback_data=button.data) for button in row] for row in rows]
    )
