"""Guest mode: somebody calls the bot by its @name in a chat that it is not in, and it answers with one message."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from .calls import Call, JsonObject, bad_request
from .chats import Chat, StoredMessage
from .contents import read_caption, read_text
from .keyboards import read_keyboard
from .state import GuestQuery, Telegram


@dataclass(frozen=True)
class _Sent:
    """A result of a query as a message: its content and its buttons."""

    content: JsonObject
    markup: JsonObject | None


def called(telegram: Telegram, message: StoredMessage) -> bool:
    """Return whether a message mentions the bot."""
    said = str(message.content.get("text") or message.content.get("caption") or "")
    return f"@{telegram.bot.username}".casefold() in said.casefold()


def ask(telegram: Telegram, chat: Chat, message: StoredMessage) -> JsonObject:
    """Make a query of a message that mentions the bot; return it as the bot gets it, with what it replies to."""
    query_id = str(secrets.randbits(63))
    telegram.guest_queries[query_id] = GuestQuery(chat.id, message.message_id)
    return chat.message_json(message) | {"guest_query_id": query_id}


async def answer_guest_query(telegram: Telegram, call: Call) -> JsonObject:
    """Answer a query, once, with a message of which the bot learns no more than an id."""
    query = telegram.guest_queries.get(call.text("guest_query_id") or "")
    if query is None or query.answered:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    sent = _result(telegram, call)
    if telegram.settings.rate_limits:
        telegram.limits.count_messages(query.chat_id)
    query.answered = True
    chat = telegram.chats.get(query.chat_id)
    inline_message_id = secrets.token_urlsafe(20)
    message = chat.add(
        telegram.bot,
        sent.content,
        reply_to=query.message_id,
        reply_markup=sent.markup,
        inline_message_id=inline_message_id,
    )
    telegram.inline_messages[inline_message_id] = (chat.id, message.message_id)
    return {"inline_message_id": inline_message_id}


def _result(telegram: Telegram, call: Call) -> _Sent:
    """Read an InlineQueryResult: a text (an article), or a photo that Telegram has already."""
    result = call.json_object("result") or {}
    given = Call(call.method, result)
    if not given.text("id"):
        raise bad_request("RESULT_ID_INVALID")
    markup = read_keyboard(given)
    match result.get("type"):
        case "article":
            content = given.json_object("input_message_content") or {}
            return _Sent(read_text(Call(call.method, {**content, "text": content.get("message_text")})), markup)
        case "photo" if given.text("photo_file_id"):
            photo = telegram.files.content(given.text("photo_file_id") or "", "photo")
            return _Sent(photo | read_caption(given), markup)
    raise bad_request("can't parse inline query result: an article, or a photo with photo_file_id, is expected")
