"""Send messages that change: one that tells how the wait goes, and becomes the answer.

Under Telegram's limits answers come first. A status or an edit that has no turn right now is left out, and so is what a
button or a command asks for in a group that has no turn to spare.
"""

import math
from typing import Any

from telegram import InputMedia, InputMediaDocument, InputMediaPhoto
from telegram import error as telegram

from botsite import rate_limit
from botsite.bot.telegram import client, clock, sending
from botsite.bot.telegram.errors import TelegramError, translate
from botsite.bot.telegram.sending import Button, Keyboard
from botsite.threads import in_thread

# What is not an answer has little time, and nobody waits for it.
_BRIEFLY: dict[str, Any] = {"read_timeout": 3, "connect_timeout": 2, "pool_timeout": 2}
# Edits of a status leave the turns to all that people wait for: a chat's after this time without a message, and the
# bot's after this. A chat's interval of a second comes on top.
_EDIT_AFTER_SECONDS, _IDLE_SECONDS = 2.0, 0.1


async def may_send_status(chat_id: int) -> bool:
    """Take a turn for a status if no answer needs it; return whether it was taken.

    A group has so few turns that all but those of a quiet moment are left to its answers.
    """
    chat = rate_limit.chat(chat_id)
    free = await in_thread(rate_limit.spare)(chat) if chat_id > 0 else await in_thread(rate_limit.idle)(chat, 0)
    return free and await in_thread(rate_limit.spare)(rate_limit.BOT)


async def leaves_room(chat_id: int, messages: int = 1) -> bool:
    """Return whether so many messages that are no answer may be sent: in a group, an answer comes before them."""
    return chat_id > 0 or await in_thread(rate_limit.leaves_room)(rate_limit.chat(chat_id), messages)


@client.with_the_stored_token
async def send_status(chat_id: int, text: str, reply_to: int, button: Button, thread_id: int | None = None) -> int:
    """Send a text with a button, as a reply, in the turn that `may_send_status` took; return its message_id."""
    bot = await client.bot()
    try:
        sent = await bot.send_message(
            chat_id,
            text,
            message_thread_id=thread_id,
            reply_parameters=sending.reply_to_message(reply_to),
            reply_markup=sending.keyboard_of([[button]]),
            **_BRIEFLY | {"read_timeout": sending.LONGEST_SEND_SECONDS},
        )
    except telegram.TelegramError as error:
        raise await _refused(chat_id, "status", error) from error
    return sent.message_id


@client.with_the_stored_token
async def edit_status(chat_id: int, message_id: int, text: str, button: Button | None) -> bool:
    """Change a status unless others need the turn, at most once in three seconds for a chat; return whether it was."""
    for limit, seconds in ((rate_limit.chat(chat_id), _EDIT_AFTER_SECONDS), (rate_limit.BOT, _IDLE_SECONDS)):
        if not await in_thread(rate_limit.idle)(limit, seconds):
            return False
    bot = await client.bot()
    with sending.unchanged_is_fine():
        try:
            await bot.edit_message_text(
                text, chat_id, message_id, reply_markup=sending.keyboard_of([[button]] if button else []), **_BRIEFLY
            )
        except telegram.TelegramError as error:
            raise await _refused(chat_id, "edit", error) from error
    return True


@client.with_the_stored_token
async def turn_into_text(
    chat_id: int, message_id: int, text: str, *, keyboard: Keyboard = (), before: float = math.inf
) -> None:
    """Turn a message of the bot's into this text; not later than `before` (monotonic seconds)."""
    bot = await client.bot()
    with sending.unchanged_is_fine():
        async with sending.turn(chat_id, "editMessageText", before):
            await bot.edit_message_text(
                text,
                chat_id,
                message_id,
                entities=clock.entities(text),
                reply_markup=sending.keyboard_of(keyboard),
                read_timeout=sending.LONGEST_SEND_SECONDS,
            )


@client.with_the_stored_token
async def turn_into_photo(
    chat_id: int,
    message_id: int,
    image: bytes,
    caption: str,
    *,
    keyboard: Keyboard = (),
    spoiler: bool = False,
    before: float = math.inf,
) -> None:
    """Turn a message of the bot's into a JPEG with its caption; not later than `before` (monotonic seconds)."""
    media = InputMediaPhoto(image, caption=caption, filename="detections.jpg", has_spoiler=spoiler or None)
    await _turn_into(chat_id, message_id, media, keyboard, before)


@client.with_the_stored_token
async def turn_into_document(
    chat_id: int,
    message_id: int,
    image: bytes,
    caption: str,
    *,
    keyboard: Keyboard = (),
    name: str = "detections.jpg",
) -> None:
    """Turn a message of the bot's into a file that Telegram leaves as it is, a JPEG by default, with its caption."""
    media = InputMediaDocument(image, caption=caption, filename=name)
    await _turn_into(chat_id, message_id, media, keyboard, math.inf)


async def _turn_into(chat_id: int, message_id: int, media: InputMedia, keyboard: Keyboard, before: float) -> None:
    bot = await client.bot()
    with sending.unchanged_is_fine():
        async with sending.turn(chat_id, "editMessageMedia", before):
            await bot.edit_message_media(
                media,
                chat_id,
                message_id,
                reply_markup=sending.keyboard_of(keyboard),
                read_timeout=sending.LONGEST_SEND_SECONDS,
            )


@client.with_the_stored_token
async def change_keyboard(chat_id: int, message_id: int, keyboard: Keyboard) -> None:
    """Put other buttons under a message of the bot's; that takes no turn of its chat, as it is no message."""
    bot = await client.bot()
    with sending.unchanged_is_fine():
        async with sending.turn(chat_id, "editMessageReplyMarkup", math.inf, taken=True):
            await bot.edit_message_reply_markup(chat_id, message_id, reply_markup=sending.keyboard_of(keyboard))


@client.with_the_stored_token
async def delete(chat_id: int, message_id: int) -> None:
    """Delete a message of the bot's; one that is gone already, or can't be deleted any more, counts as deleted."""
    bot = await client.bot()
    try:
        await bot.delete_message(chat_id, message_id, **_BRIEFLY)
    except telegram.TelegramError as error:
        translated = translate(f"deleteMessage in chat {chat_id}", error)
        if not translated.permanent:
            raise translated from error


@client.with_the_stored_token
async def answer_press(query_id: str, text: str = "") -> None:
    """Stop the spinner on a pressed button; show a notice of at most 200 characters, if there is one.

    After some seconds Telegram takes no answer any more, which is nobody's failure.
    """
    bot = await client.bot()
    try:
        await bot.answer_callback_query(query_id, text, **_BRIEFLY)
    except telegram.TelegramError as error:
        translated = translate("answerCallbackQuery", error)
        if not translated.permanent:
            raise translated from error


async def _refused(chat_id: int, action: str, error: telegram.TelegramError) -> TelegramError:
    """Return the error as ours, after it has held back the chat for all senders if it is a 429."""
    translated = translate(f"{action} to chat {chat_id}", error)
    if seconds := translated.retry_after_seconds:
        translated.retry_after_seconds = await in_thread(rate_limit.refused)(chat_id, seconds)
    return translated
