"""Call the Bot API: send, under Telegram's limits, and ask."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

import structlog
from telegram import (
    InputMediaDocument,
    InputMediaPhoto,
    Message,
    WebhookInfo,
)
from telegram import error as telegram

from botsite import rate_limit
from botsite.bot.telegram import client, clock, sending
from botsite.bot.telegram.errors import translate
from botsite.bot.telegram.sending import Keyboard, Picture
from botsite.threads import in_thread

log = structlog.get_logger()

ALBUM_AT_MOST = rate_limit.BOT.most_at_once
_usernames: dict[int, str] = {}
T = TypeVar("T")


async def username() -> str:
    """Return the bot's own @name, without the @ and in lower case; asked for once per process."""
    number = await in_thread(client.bot_id)()
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
    async with sending.turn(chat_id, "sendMessage", before):
        said = text if isinstance(text, str) else await text()
        return await sending.in_topic(
            thread_id,
            lambda topic: bot.send_message(
                chat_id,
                said,
                entities=clock.entities(said),
                message_thread_id=topic,
                reply_parameters=sending.reply_to_message(reply_to),
                reply_markup=sending.keyboard_of(keyboard),
                read_timeout=sending.LONGEST_SEND_SECONDS,
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
    spoiler: bool = False,
    before: float = math.inf,
) -> Message:
    """Send a JPEG with its caption (at most 1024 characters) as a photo, or any file of that name as a document.

    A text instead of bytes is the id of a file that Telegram has. A document may have a small JPEG as its thumbnail, a
    photo may be a spoiler: hidden until somebody taps it.
    Not later than `before` (monotonic seconds), which is when the sender's lease may run out.
    """
    bot = await client.bot()
    # Bytes, never a stream: a stream that was read by a failed try sends nothing the next time.
    arguments: dict[str, Any] = {
        "caption": caption,
        "caption_entities": clock.entities(caption),
        "reply_parameters": sending.reply_to_message(reply_to),
        "reply_markup": sending.keyboard_of(keyboard),
        "filename": name,
        "read_timeout": sending.LONGEST_SEND_SECONDS,
    }
    async with sending.turn(chat_id, form, before):
        if form == "photo":
            return await sending.in_topic(
                thread_id,
                lambda topic: bot.send_photo(
                    chat_id, image, message_thread_id=topic, has_spoiler=spoiler or None, **arguments
                ),
            )
        return await sending.in_topic(
            thread_id,
            lambda topic: bot.send_document(chat_id, image, thumbnail=thumbnail, message_thread_id=topic, **arguments),
        )


@client.with_the_stored_token
async def send_album(
    chat_id: int,
    pictures: Sequence[Picture],
    *,
    caption: str = "",
    form: Literal["photo", "document"] = "photo",
    reply_to: int,
    thread_id: int | None = None,
    before: float = math.inf,
) -> Sequence[Message]:
    """Send 1 to ALBUM_AT_MOST pictures as a reply: several as an album, which Telegram doesn't make of one."""
    if len(pictures) == 1:
        sent = await send_image(
            chat_id,
            pictures[0].content,
            caption,
            form=form,
            name=pictures[0].name or "crop.jpg",
            reply_to=reply_to,
            thread_id=thread_id,
            spoiler=pictures[0].spoiler,
            before=before,
        )
        return [sent]
    bot = await client.bot()
    media = [
        InputMediaPhoto(each.content, filename=f"{number}.jpg", has_spoiler=each.spoiler or None)
        if form == "photo"
        else InputMediaDocument(each.content, filename=each.name or f"{number}.jpg")
        for number, each in enumerate(pictures, 1)
    ]
    async with sending.turn(chat_id, "sendMediaGroup", before, messages=len(media)):
        return await sending.in_topic(
            thread_id,
            lambda topic: bot.send_media_group(
                chat_id,
                media,
                caption=caption or None,
                message_thread_id=topic,
                reply_parameters=sending.reply_to_message(reply_to),
                read_timeout=sending.LONGEST_SEND_SECONDS,
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
