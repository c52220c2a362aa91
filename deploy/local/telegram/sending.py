"""The Bot API methods that send something to a chat."""

from __future__ import annotations

import secrets
from typing import Any

from .calls import ApiError, Call, JsonObject, bad_request
from .chats import Chat
from .contents import read_input_media, read_media, read_text
from .keyboards import read_keyboard
from .state import Telegram

ACTION_SECONDS = 5
_MIN_ALBUM, _MAX_ALBUM = 2, 10
_ACTIONS = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note",
}  # fmt: skip


def open_chat(telegram: Telegram, call: Call) -> Chat:
    """Return the chat of a call; raise 403 if the bot is blocked there, 400 if the chat has a new id."""
    chat = telegram.chats.get(call.chat_id())
    if chat.migrated_to:
        reason = "Bad Request: group chat was upgraded to a supergroup chat"
        raise ApiError(400, reason, migrate_to_chat_id=chat.migrated_to)
    if chat.strangers:
        raise ApiError(403, "Forbidden: bot is not a member of the group chat")
    if chat.blocked:
        reason = "bot was blocked by the user" if chat.id > 0 else "bot was kicked from the group chat"
        raise ApiError(403, f"Forbidden: {reason}")
    return chat


async def send_message(telegram: Telegram, call: Call) -> JsonObject:
    """Send a text."""
    return _send(telegram, call, read_text(call))


async def send_photo(telegram: Telegram, call: Call) -> JsonObject:
    """Send a photo, re-encoded."""
    return _send(telegram, call, await read_media(telegram, call, "photo"))


async def send_document(telegram: Telegram, call: Call) -> JsonObject:
    """Send a file unchanged."""
    return _send(telegram, call, await read_media(telegram, call, "document"))


async def send_media_group(telegram: Telegram, call: Call) -> list[JsonObject]:
    """Send an album: separate messages that share a media_group_id."""
    media = call.json("media")
    if not isinstance(media, list) or not media:
        raise bad_request("there are no messages to send")
    if len(media) < _MIN_ALBUM:
        # As documented; the server itself is said to take one.
        raise bad_request("too few messages to send as an album")
    if len(media) > _MAX_ALBUM:
        raise bad_request("too many messages to send as an album")
    contents = [await read_input_media(telegram, call, entry) for entry in media]
    if len({"photo" in content for content in contents}) > 1:
        raise bad_request("document can't be mixed with other media types")
    chat = open_chat(telegram, call)
    details = _place(call, chat) | {"media_group_id": str(secrets.randbits(53))}
    if telegram.settings.rate_limits:
        telegram.limits.count_messages(chat.id, len(contents))
    return [chat.message_json(chat.add(telegram.bot, content, **details)) for content in contents]


async def send_chat_action(telegram: Telegram, call: Call) -> bool:
    """Show "typing" or the like for five seconds, or until the next message."""
    action = call.text("action")
    if action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat = open_chat(telegram, call)
    chat.open_topic(call.number("message_thread_id"))
    chat.announce("action", {"action": action, "seconds": ACTION_SECONDS})
    return True


def _send(telegram: Telegram, call: Call, content: JsonObject) -> JsonObject:
    chat = open_chat(telegram, call)
    details: dict[str, Any] = _place(call, chat) | {"reply_markup": read_keyboard(call)}
    if telegram.settings.rate_limits:
        telegram.limits.count_messages(chat.id)
    return chat.message_json(chat.add(telegram.bot, content, **details))


def _place(call: Call, chat: Chat) -> dict[str, Any]:
    """Return what a message replies to, and the topic it comes into: the one named, or that of the message replied to.

    Raise 400 if either isn't there.
    """
    target = _reply_target(call, chat)
    named = call.number("message_thread_id")
    beside = chat.messages[target].thread_id if target else None
    return {"reply_to": target, "thread_id": chat.open_topic(named if named is not None else beside)}


def _reply_target(call: Call, chat: Chat) -> int | None:
    """Return the message to reply to; if it is missing, None where the call allows that, else raise 400."""
    parameters = call.json_object("reply_parameters")
    # Bots older than Bot API 7 give these two values as parameters of the call itself.
    wanted = Call(call.method, parameters) if parameters else call
    target = wanted.number("message_id" if parameters else "reply_to_message_id")
    if target is None or target in chat.messages:
        return target
    if wanted.flag("allow_sending_without_reply"):
        return None
    raise bad_request("message to be replied not found")
