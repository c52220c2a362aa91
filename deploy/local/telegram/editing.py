"""The Bot API methods that change what is in a chat."""

from __future__ import annotations

import time
from typing import Any

from .calls import Call, JsonObject, bad_request
from .chats import Chat, StoredMessage
from .contents import read_caption, read_input_media, read_text
from .keyboards import read_keyboard
from .sending import open_chat
from .state import Telegram

_MAX_ANSWER = 200
_DELETABLE_SECONDS = 48 * 3600


async def edit_message_text(telegram: Telegram, call: Call) -> JsonObject | bool:
    """Replace the text of a message."""
    chat, message = _own_message(telegram, call)
    if "text" not in message.content:
        raise bad_request("there is no text in the message to edit")
    return _edit(telegram, call, chat, message, read_text(call))


async def edit_message_caption(telegram: Telegram, call: Call) -> JsonObject | bool:
    """Replace or remove the caption of a photo or document."""
    chat, message = _own_message(telegram, call)
    if "text" in message.content:
        raise bad_request("there is no caption in the message to edit")
    kept = {name: value for name, value in message.content.items() if not name.startswith("caption")}
    return _edit(telegram, call, chat, message, kept | read_caption(call))


async def edit_message_media(telegram: Telegram, call: Call) -> JsonObject | bool:
    """Replace the photo or document of a message, or turn a text into one (Bot API 10).

    An inline message takes no new file, only one that Telegram has already.
    """
    _own_message(telegram, call)
    if call.text("inline_message_id") and call.files:
        raise bad_request("a new file can't be uploaded when an inline message is edited")
    content = await read_input_media(telegram, call, call.json("media"))
    # The message may have been edited or deleted while the photo was encoded.
    chat, message = _own_message(telegram, call)
    return _edit(telegram, call, chat, message, content)


async def edit_message_reply_markup(telegram: Telegram, call: Call) -> JsonObject | bool:
    """Replace or remove the buttons of a message."""
    chat, message = _own_message(telegram, call)
    return _edit(telegram, call, chat, message, message.content)


async def delete_message(telegram: Telegram, call: Call) -> bool:
    """Delete a message, the bot's or a person's, that is less than 48 hours old."""
    chat, message_id = open_chat(telegram, call), call.number("message_id") or 0
    message = chat.messages.get(message_id)
    if message is None:
        raise bad_request("message to delete not found")
    if time.time() - message.date >= telegram.settings.scaled(_DELETABLE_SECONDS):
        raise bad_request("message can't be deleted")
    chat.remove(message_id)
    telegram.claims.forget(chat.id, message_id)
    return True


async def answer_callback_query(telegram: Telegram, call: Call) -> bool:
    """Answer a pressed button, with a notice or just to end its spinner."""
    press = telegram.presses.get(call.text("callback_query_id") or "")
    if press is None:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    text = call.text("text") or ""
    if len(text) > _MAX_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    press.answer = {"text": text, "show_alert": call.flag("show_alert")}
    shown = {"callback_query_id": call.text("callback_query_id"), **press.answer}
    telegram.chats.get(press.chat_id).announce("answer", shown)
    return True


def _own_message(telegram: Telegram, call: Call) -> tuple[Chat, StoredMessage]:
    if inline := call.text("inline_message_id"):
        chat_id, message_id = telegram.inline_messages.get(inline, (0, 0))
        found = telegram.chats.get(chat_id).messages.get(message_id) if chat_id else None
        if found is None:
            raise bad_request("MESSAGE_ID_INVALID")
        return telegram.chats.get(chat_id), found
    chat = open_chat(telegram, call)
    message = chat.messages.get(call.number("message_id") or 0)
    if message is None:
        raise bad_request("message to edit not found")
    if not message.sender.is_bot:
        raise bad_request("message can't be edited")
    return chat, message


def _edit(telegram: Telegram, call: Call, chat: Chat, message: StoredMessage, content: JsonObject) -> JsonObject | bool:
    """Give a message its new content and the call's buttons; an edit without buttons removes them.

    Of an inline message, the bot is not told what has become of it.
    """
    markup = read_keyboard(call)
    if content == message.content and markup == message.reply_markup:
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly the same "
            "as a current content and reply markup of the message"
        )
    if telegram.settings.rate_limits:
        telegram.limits.count_messages(chat.id)
    changes: dict[str, Any] = {"content": content, "reply_markup": markup}
    if content != message.content:
        changes["edit_date"] = int(time.time())
    edited = chat.edit(message, **changes)
    return True if message.inline_message_id else chat.message_json(edited)
