"""Send and edit the one message that answers a guest query; Telegram gives no more of it than an id.

An edit of such a message takes no new file, so a picture is sent to a chat of the operator's first.
"""

import math
from dataclasses import dataclass

import structlog
from django.conf import settings
from telegram import InlineQueryResultArticle, InputMediaPhoto, InputTextMessageContent

from botsite import rate_limit
from botsite.bot.telegram import client, clock, edits, sending
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Button
from botsite.threads import in_thread

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo that Telegram has, and the message in STORAGE_CHAT by which it got it."""

    file_id: str
    message_id: int | None


@client.with_the_stored_token
async def answer(query_id: str, chat_id: int, text: str, button: Button | None = None) -> str:
    """Answer a query with a text; return the inline_message_id. Telegram takes one answer, and not for long."""
    bot = await client.bot()
    # Nobody sees the id and the title: they are for lists of results.
    result = InlineQueryResultArticle(
        "answer",
        text[:50],
        InputTextMessageContent(text, entities=clock.entities(text)),
        reply_markup=sending.keyboard_of([[button]] if button else []),
    )
    # Whether the chat has a turn left decides whether it is answered at all (botsite/bot/incoming/guests.py).
    async with sending.turn(chat_id, "answerGuestQuery", math.inf, rate_limit.guest, taken=True):
        return (await bot.answer_guest_query(query_id, result)).inline_message_id


@client.with_the_stored_token
async def store(image: bytes, caller: int, before: float) -> Picture:
    """Send a JPEG to STORAGE_CHAT, so that Telegram has it. Raise TelegramError.

    A limit there concerns this answer alone, and not the caller's own chat. Each caller has a share of its turns.
    """
    bot, chat_id = await client.bot(), settings.STORAGE_CHAT
    if not await in_thread(rate_limit.spare)(rate_limit.stored(caller)):
        raise TelegramError(f"sendPhoto for {caller}: has had its share", permanent=False, answered=True)
    try:
        async with sending.turn(chat_id, "sendPhoto", before):
            sent = await bot.send_photo(
                chat_id,
                image,
                filename="detections.jpg",
                disable_notification=True,
                read_timeout=sending.LONGEST_SEND_SECONDS,
            )
    except TelegramError as error:
        if error.retry_after_seconds is None:
            raise
        raise TelegramError(str(error), permanent=False, answered=True) from error
    return Picture(max(sent.photo, key=lambda size: size.width * size.height).file_id, sent.message_id)


async def forget(message_id: int) -> bool:
    """Delete a picture from STORAGE_CHAT, as Telegram keeps it by its file_id; return whether it is gone there."""
    if not settings.STORAGE_CHAT:
        return False
    try:
        await edits.delete(settings.STORAGE_CHAT, message_id)
    except TelegramError as error:
        log.warning("picture_not_deleted", error=str(error))
        return False
    return True


@client.with_the_stored_token
async def turn_into_text(inline_message_id: str, chat_id: int, text: str, before: float) -> None:
    """Turn the message into a text. Raise TelegramError."""
    bot = await client.bot()
    with sending.unchanged_is_fine():
        async with sending.turn(chat_id, "editMessageText of a guest's", before, rate_limit.guest):
            await bot.edit_message_text(
                text,
                inline_message_id=inline_message_id,
                entities=clock.entities(text),
                read_timeout=sending.LONGEST_SEND_SECONDS,
            )


@client.with_the_stored_token
async def turn_into_photo(
    inline_message_id: str, chat_id: int, picture: Picture, caption: str, before: float, *, spoiler: bool = False
) -> bool:
    """Turn the message into a photo that Telegram has; return False if it rejects that. Raise TelegramError."""
    bot = await client.bot()
    try:
        with sending.unchanged_is_fine():
            async with sending.turn(chat_id, "editMessageMedia of a guest's", before, rate_limit.guest):
                await bot.edit_message_media(
                    InputMediaPhoto(picture.file_id, caption=caption, has_spoiler=spoiler or None),
                    inline_message_id=inline_message_id,
                    read_timeout=sending.LONGEST_SEND_SECONDS,
                )
    except TelegramError as error:
        if not error.permanent:
            raise
        log.warning("result_image_refused", error=str(error))
        return False
    return True
