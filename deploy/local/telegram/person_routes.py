"""HTTP for people: what the chat page and tests use to write, press, read and watch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

from aiohttp import web

from . import people
from .calls import ApiError, Call, JsonObject, Upload, bad_request, read_call
from .chats import Chat, Event, Person, StoredMessage, person_named
from .files import PERSON_KINDS
from .state import Telegram

TELEGRAM: web.AppKey[Telegram] = web.AppKey("telegram", Telegram)

_PAGE = Path(__file__).with_name("page.html")
_HEARTBEAT_SECONDS = 15.0
_MAX_WAIT_SECONDS = 60.0
# Somebody in a group, if a request does not say who.
_GROUP_MEMBER_ID = 4242


async def page(request: web.Request) -> web.StreamResponse:
    """Show the chat page."""
    return web.FileResponse(_PAGE, headers={"Cache-Control": "no-cache"})


async def chat_list(request: web.Request) -> web.Response:
    """List the chats that have been opened."""
    return web.json_response({"chats": [chat.to_json() for chat in request.app[TELEGRAM].chats]})


async def chat_state(request: web.Request) -> web.Response:
    """Return the chat; with `since` and `wait`, once its version differs from `since`."""
    telegram, chat = _chat(request)
    since = query_number(request, "since", -1)
    await chat.changed.wait_until(lambda: chat.version != since, wait_seconds(request))
    code, profile = request.query.get("language", "").partition("-")[0].lower(), telegram.profile
    return web.json_response(
        {
            "bot": telegram.bot.to_json(),
            "chat": chat.to_json(),
            "commands": profile.commands.get(code) or profile.commands.get("", []),
            "description": profile.texts.get(("description", code)) or profile.texts.get(("description", ""), ""),
            "blocked": chat.blocked,
            "strangers": chat.strangers,
            "version": chat.version,
            "messages": [_shown(telegram, chat, message) for message in chat.messages.values()],
        }
    )


def _shown(telegram: Telegram, chat: Chat, message: StoredMessage) -> JsonObject:
    """Return a message; a picture of the bot's albums with what it answers."""
    fields = chat.message_json(message)
    of_album = message.sender.is_bot and message.media_group_id
    return fields | ({"in_reply_to": telegram.claims.of(chat.id, message.message_id)} if of_album else {})


async def chat_events(request: web.Request) -> web.StreamResponse:
    """Stream the events of the chat from `after` on, as server-sent events."""
    _, chat = _chat(request)
    after = query_number(request, "after", chat.version)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    try:
        await _stream(chat, after, response)
    except ConnectionResetError:
        # The watcher left between two events.
        return response


async def _stream(chat: Chat, number: int, response: web.StreamResponse) -> NoReturn:
    """Write the events after `number` as they come, and now and then a line to keep the connection alive."""

    def news() -> bool:
        return chat.version > number

    while True:
        for event in chat.events_after(number):
            await response.write(_server_sent(event))
            number = event.number
        if not await chat.changed.wait_until(news, _HEARTBEAT_SECONDS):
            await response.write(b": still here\n\n")


async def write(request: web.Request) -> web.Response:
    """Send a message: `text`, or files in a field named after their kind with a `caption`.

    Several are an album, sent `gap_seconds` apart; `album` continues one, by its media_group_id.
    """
    telegram, chat = _chat(request)
    call = await read_call(request, "write")
    kinds = {name.partition("#")[0] for name in call.files}
    if len(kinds) > 1:
        raise bad_request("all files of a message must be of one kind")
    files = tuple(call.files.values())
    if call.text("kind") in PERSON_KINDS and not files:
        # Lets a test send a sticker or a voice message without having one.
        kinds, files = {str(call.text("kind"))}, (Upload("", "application/octet-stream", b"nothing"),)
    writing = people.Writing(
        call.text("text") or "",
        next(iter(kinds), ""),
        files,
        call.text("caption") or "",
        call.number("reply_to"),
        call.text("album") or "",
        _gap_seconds(call),
        call.number("thread_id"),
        call.flag("high_definition"),
        call.flag("spoiler"),
    )
    messages = await people.write(telegram, chat, _person(call, chat), writing)
    return web.json_response({"messages": [chat.message_json(message) for message in messages]})


async def edit(request: web.Request) -> web.Response:
    """Change the text or caption of a person's message."""
    telegram, chat = _chat(request)
    call = await read_call(request, "edit")
    message = people.edit(telegram, chat, int(request.match_info["message_id"]), call.text("text") or "")
    return web.json_response({"messages": [chat.message_json(message)]})


async def delete(request: web.Request) -> web.Response:
    """Delete a message; the bot is not told."""
    _, chat = _chat(request)
    if not chat.remove(int(request.match_info["message_id"])):
        raise ApiError(404, "no such message")
    return web.json_response({})


async def press(request: web.Request) -> web.Response:
    """Press the button with this `data` under a message."""
    telegram, chat = _chat(request)
    call = await read_call(request, "press")
    message_id, data = call.number("message_id") or 0, call.text("data") or ""
    altered = call.flag("altered")
    query_id = people.press(telegram, chat, _person(call, chat), message_id, data, altered=altered)
    return web.json_response({"callback_query_id": query_id})


async def press_answer(request: web.Request) -> web.Response:
    """Return the bot's answer to a pressed button, waiting up to `wait` seconds; or null if it has not answered yet."""
    telegram, chat = _chat(request)
    pressed = telegram.presses.get(request.match_info["query_id"])
    if pressed is None:
        raise ApiError(404, "no such button was pressed")
    await chat.changed.wait_until(lambda: pressed.answer is not None, wait_seconds(request))
    return web.json_response({"answer": pressed.answer})


async def block(request: web.Request) -> web.Response:
    """Block the bot or, with `blocked` false, unblock it."""
    telegram, chat = _chat(request)
    call = await read_call(request, "block")
    people.set_blocked(telegram, chat, _person(call, chat), call.flag("blocked"))
    return web.json_response({"blocked": chat.blocked})


async def leave_out(request: web.Request) -> web.Response:
    """Make it a chat of others, which the bot is not in."""
    _, chat = _chat(request)
    chat.strangers = True
    return web.json_response({})


async def make_topic(request: web.Request) -> web.Response:
    """Make a topic in a group, whose id is in the answer."""
    _, chat = _chat(request)
    call = await read_call(request, "topic")
    return web.json_response({"thread_id": chat.make_topic(_person(call, chat), call.text("name") or "Topic")})


async def change_topic(request: web.Request) -> web.Response:
    """Close a topic or, with `closed` false, open it again."""
    chat, thread_id = _topic(request)
    chat.change_topic(thread_id, closed=(await read_call(request, "topic")).flag("closed"))
    return web.json_response({})


async def delete_topic(request: web.Request) -> web.Response:
    """Delete a topic with its messages."""
    chat, thread_id = _topic(request)
    chat.delete_topic(thread_id)
    return web.json_response({})


async def file(request: web.Request) -> web.Response:
    """Return a file of a message, by file_id and without the token, as the apps fetch it."""
    stored = request.app[TELEGRAM].files.by_id(request.match_info["file_id"])
    if stored is None:
        raise ApiError(404, "no such file")
    # What people send must not run as a page of this server: only pictures are shown inline.
    inline = stored.mime_type in ("image/jpeg", "image/png", "image/webp", "image/gif")
    return web.Response(
        body=stored.read(),
        content_type=stored.mime_type if inline else "application/octet-stream",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=86400, immutable"},
    )


def _gap_seconds(call: Call) -> float:
    try:
        return min(float(call.text("gap_seconds") or 0), _MAX_WAIT_SECONDS)
    except ValueError:
        raise bad_request("gap_seconds must be a number of seconds") from None


def wait_seconds(request: web.Request) -> float:
    """Return how many seconds a request will wait: 0 by default, at most a minute."""
    try:
        return min(float(request.query.get("wait", "0")), _MAX_WAIT_SECONDS)
    except ValueError:
        raise bad_request("wait must be a number of seconds") from None


def query_number(request: web.Request, name: str, default: int) -> int:
    """Return an integer from the query string; raise 400 for anything else."""
    try:
        return int(request.query.get(name, default))
    except ValueError:
        raise bad_request(f"{name} must be an integer") from None


def _chat(request: web.Request) -> tuple[Telegram, Chat]:
    telegram = request.app[TELEGRAM]
    return telegram, telegram.chats.get(int(request.match_info["chat_id"]))


def _topic(request: web.Request) -> tuple[Chat, int]:
    _, chat = _chat(request)
    thread_id = int(request.match_info["thread_id"])
    if thread_id not in chat.topics:
        raise ApiError(404, "no such topic")
    return chat, thread_id


def _person(call: Call, chat: Chat) -> Person:
    user_id = call.number("user_id") or (chat.id if chat.id > 0 else _GROUP_MEMBER_ID)
    return person_named(user_id, call.text("first_name"), call.text("language_code"))


def _server_sent(event: Event) -> bytes:
    data: JsonObject = event.data
    return f"id: {event.number}\nevent: {event.name}\ndata: {json.dumps(data)}\n\n".encode()


ROUTES = [
    web.get("/", page),
    web.get("/chats", chat_list),
    web.get(r"/chats/{chat_id:-?\d+}", chat_state),
    web.get(r"/chats/{chat_id:-?\d+}/events", chat_events),
    web.post(r"/chats/{chat_id:-?\d+}/messages", write),
    web.put(r"/chats/{chat_id:-?\d+}/messages/{message_id:\d+}", edit),
    web.delete(r"/chats/{chat_id:-?\d+}/messages/{message_id:\d+}", delete),
    web.post(r"/chats/{chat_id:-?\d+}/presses", press),
    web.get(r"/chats/{chat_id:-?\d+}/presses/{query_id}", press_answer),
    web.post(r"/chats/{chat_id:-?\d+}/block", block),
    web.post(r"/chats/{chat_id:-?\d+}/strangers", leave_out),
    web.post(r"/chats/{chat_id:-\d+}/topics", make_topic),
    web.put(r"/chats/{chat_id:-\d+}/topics/{thread_id:\d+}", change_topic),
    web.delete(r"/chats/{chat_id:-\d+}/topics/{thread_id:\d+}", delete_topic),
    web.get("/files/{file_id}", file),
]
