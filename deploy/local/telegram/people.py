"""What a person does in a chat, and the updates that the bot gets from it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from . import guests
from .calls import ApiError, JsonObject, Upload, bad_request
from .chats import Chat, Person, StoredMessage
from .files import PERSON_KINDS
from .plain_text import parse_caption, parse_text
from .state import Press, Telegram

_MAX_ALBUM = 10


@dataclass(frozen=True)
class Writing:
    """What a person sends: a text, or files of one kind with a caption.

    Several files are an album, sent `gap_seconds` apart, as over a slow connection; `album` is one to continue.
    """

    text: str = ""
    kind: str = ""
    files: Sequence[Upload] = ()
    caption: str = ""
    reply_to: int | None = None
    album: str = ""
    gap_seconds: float = 0.0
    thread_id: int | None = None
    # Whether photos keep up to 2560 pixels a side.
    high_definition: bool = False
    # Whether photos are hidden until somebody taps them.
    spoiler: bool = False


async def write(telegram: Telegram, chat: Chat, person: Person, writing: Writing) -> list[StoredMessage]:
    """Send a message, or an album of several photos; return the new messages."""
    if chat.blocked:
        raise ApiError(409, "the bot is blocked in this chat: unblock it first")
    if chat.migrated_to:
        raise ApiError(409, f"this group is now the supergroup {chat.migrated_to}")
    contents = await _contents(telegram, writing)
    if writing.thread_id is not None and writing.thread_id not in chat.topics:
        raise ApiError(409, "this group has no such topic")
    album = writing.album or (str(secrets.randbits(53)) if len(contents) > 1 else None)
    place = {"reply_to": writing.reply_to, "thread_id": writing.thread_id}
    sent: list[StoredMessage] = []
    for content in contents:
        if sent:
            await asyncio.sleep(writing.gap_seconds)
        message = chat.add(person, content, media_group_id=album, **place)
        if album:
            telegram.claims.note_photo(chat.id, album, message.message_id)
        sent.append(_say(telegram, chat, message))
    return sent


def edit(telegram: Telegram, chat: Chat, message_id: int, text: str) -> StoredMessage:
    """Change the text or caption of a person's message."""
    message = chat.messages.get(message_id)
    if message is None or message.sender.is_bot:
        raise ApiError(404, "no person has sent such a message")
    kept = {
        name: value
        for name, value in message.content.items()
        if name not in ("text", "entities", "caption", "caption_entities")
    }
    new = parse_caption(text).to_json("caption") if kept else parse_text(text).to_json("text")
    edited = chat.edit(message, content=kept | new, edit_date=int(time.time()))
    _send_update(telegram, "edited_message", chat.message_json(edited), f"chat:{chat.id}", chat)
    return edited


def press(telegram: Telegram, chat: Chat, person: Person, message_id: int, data: str, *, altered: bool = False) -> str:
    """Press an inline button; return the id of the callback query. An altered client may send any data."""
    message = chat.messages.get(message_id)
    shown = message and (altered or any(button.get("callback_data") == data for button in message.buttons()))
    if message is None or not shown:
        raise ApiError(409, "this button is gone")
    query_id = str(secrets.randbits(63))
    telegram.presses[query_id] = Press(chat.id)
    query = {"id": query_id, "from": person.to_json(), "chat_instance": str(chat.id), "data": data}
    # Of an inline message, which may be in a chat of others, the bot is told no more than its id.
    where = message.inline_message_id
    query |= {"inline_message_id": where} if where else {"message": chat.message_json(message)}
    _send_update(telegram, "callback_query", query, f"callback:{person.id}", chat)
    return query_id


def set_blocked(telegram: Telegram, chat: Chat, person: Person, blocked: bool) -> None:
    """Block or unblock the bot; in a group, remove it or add it again."""
    if chat.blocked == blocked:
        return
    chat.blocked = blocked
    chat.announce("blocked", {"blocked": blocked})
    bot = telegram.bot.to_json()
    inside, outside = {"user": bot, "status": "member"}, {"user": bot, "status": "kicked", "until_date": 0}
    old, new = (inside, outside) if blocked else (outside, inside)
    change = {
        "chat": chat.to_json(), "from": person.to_json(), "date": int(time.time()),
        "old_chat_member": old, "new_chat_member": new,
    }  # fmt: skip
    _send_update(telegram, "my_chat_member", change, f"my_chat_member:{chat.id}", chat)


async def _contents(telegram: Telegram, writing: Writing) -> list[JsonObject]:
    if not writing.kind:
        return [parse_text(writing.text).to_json("text")]
    if writing.kind not in PERSON_KINDS or not writing.files:
        raise bad_request(f"a person sends text or files of these kinds: {', '.join(PERSON_KINDS)}")
    if len(writing.files) > _MAX_ALBUM:
        raise bad_request("an album holds at most 10 files")
    contents = [await _content(telegram, writing, file) for file in writing.files]
    # The bot finds an album's caption on its first photo.
    contents[0] = contents[0] | parse_caption(writing.caption).to_json("caption")
    return contents


async def _content(telegram: Telegram, writing: Writing, file: Upload) -> JsonObject:
    if writing.kind == "photo":
        hidden = {"has_media_spoiler": True} if writing.spoiler else {}
        return await telegram.files.add_photo(file, writing.high_definition) | hidden
    return telegram.files.add(writing.kind, file)


def _say(telegram: Telegram, chat: Chat, message: StoredMessage) -> StoredMessage:
    """Tell the bot of a message; in a chat of others, only of one that calls it."""
    if not chat.strangers:
        _send_update(telegram, "message", chat.message_json(message), f"chat:{chat.id}", chat)
    elif guests.called(telegram, message):
        _send_update(telegram, "guest_message", guests.ask(telegram, chat, message), f"guest:{chat.id}", chat)
    return message


def _send_update(telegram: Telegram, kind: str, payload: JsonObject, lane: str, chat: Chat) -> None:
    telegram.webhook.put(telegram.updates.make(kind, payload, lane, chat.id))
