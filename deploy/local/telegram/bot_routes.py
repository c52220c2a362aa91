"""HTTP for the bot: methods at /bot<token>/<method>, files at /file/bot<token>/<path>."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from .calls import ApiError, Call, JsonObject, read_call
from .client.messages import read_message
from .faults import FILE, Rule
from .files import StoredFile
from .methods import METHODS, spelling
from .person_routes import TELEGRAM
from .state import Telegram

_SLOW_PIECES = 20
# The status of a response that reaches nobody: a handler must return one.
_CUT = 499
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


async def bot_method(request: web.Request) -> web.StreamResponse:
    """Carry out a call of the Bot API."""
    telegram = _authorised(request)
    method = spelling(request.match_info["method"])
    started = time.monotonic()
    call = await read_call(request, method)
    chat_id, thread_id = _named(call, "chat_id"), _named(call, "message_thread_id")
    rule = telegram.faults.take(method, chat_id)
    if rule and rule.effect in ("drop", "bad_gateway"):
        response = _broken(request, rule)
        telegram.journal.write(method, chat_id, started, _told(response), rule.effect, thread_id=thread_id)
        return response
    status, body = await _carry_out(telegram, call, rule)
    detail = body.get("description", "")
    detail = f"{detail} {rule.effect}".strip() if rule else detail
    reply_to, sent = _answered(telegram, call, body.get("result"))
    telegram.journal.write(method, chat_id, started, status, detail, reply_to, sent, thread_id)
    if rule and rule.effect == "apply_then_hang":
        await asyncio.sleep(rule.hang_seconds)
    if rule and rule.effect in ("apply_then_drop", "apply_then_hang"):
        return _dropped(request)
    if rule and rule.effect == "slow_reply":
        return await _slowly(request, status, body, rule.seconds)
    return web.json_response(body, status=status)


async def bot_file(request: web.Request) -> web.StreamResponse:
    """Return the bytes of a file by its path from getFile."""
    telegram = _authorised(request)
    started = time.monotonic()
    stored = telegram.files.by_path(request.match_info["path"])
    rule = telegram.faults.take(FILE, None)
    if rule and rule.effect == "delay":
        await asyncio.sleep(rule.seconds)
    if rule and (rule.effect in ("drop", "bad_gateway")):
        response: web.StreamResponse = _broken(request, rule)
    elif stored is None or (rule and rule.effect == "not_found"):
        response = web.json_response(ApiError(404, "Not Found").to_json(), status=404)
    elif rule and (error := rule.refusal()):
        response = web.json_response(error.to_json(), status=error.code)
    elif rule and rule.effect in ("truncated", "slow"):
        response = await _trickle(request, stored, rule)
    else:
        response = web.Response(body=stored.read(), content_type="application/octet-stream")
    detail = f"{request.match_info['path']} {rule.effect if rule else ''}".strip()
    telegram.journal.write(FILE, None, started, _told(response), detail)
    return response


def _authorised(request: web.Request) -> Telegram:
    """Return the state; raise 401 unless the token is the bot's."""
    telegram = request.app[TELEGRAM]
    if not hmac.compare_digest(request.match_info["token"].encode(), telegram.token.encode()):
        raise ApiError(401, "Unauthorized")
    return telegram


async def _carry_out(telegram: Telegram, call: Call, rule: Rule | None) -> tuple[int, JsonObject]:
    """Carry out a call, unless a rule refuses it; return its status and body."""
    try:
        if rule and rule.effect == "delay":
            await asyncio.sleep(rule.seconds)
        if rule and (refusal := rule.refusal()):
            raise refusal
        return 200, {"ok": True, "result": await METHODS[call.method](telegram, call)}
    except ApiError as error:
        return error.code, error.to_json()


def _named(call: Call, name: str) -> int | None:
    """Return the number that a call gives for its chat or its topic, if valid."""
    try:
        return call.number(name)
    except ApiError:
        return None


def _answered(telegram: Telegram, call: Call, result: Any) -> tuple[int | None, Sequence[int]]:
    """Return the message that a call claims to answer, and the messages that it sent or changed.

    It is None for a word on how the wait goes, which is no answer.
    """
    claimed = _named_reply(call)
    results = result if isinstance(result, list) else [result]
    sent = [read_message(one) for one in results if isinstance(one, dict) and "message_id" in one]
    if not sent:
        return claimed, ()
    chat_id, message_ids = sent[0].chat_id, [one.message_id for one in sent]
    if claimed:
        telegram.claims.note(chat_id, message_ids, claimed)
    answers = None if sent[0].tells_of_wait else telegram.claims.of(chat_id, message_ids[0])
    return answers, message_ids


def _named_reply(call: Call) -> int | None:
    """Return the message that a call replies to, if valid."""
    try:
        parameters = call.json_object("reply_parameters") or {}
        return Call(call.method, parameters).number("message_id")
    except ApiError:
        return None


def _broken(request: web.Request, rule: Rule) -> web.Response:
    if rule.effect == "drop":
        return _dropped(request)
    return web.Response(text=_BAD_GATEWAY, status=502, content_type="text/html")


def _dropped(request: web.Request) -> web.Response:
    """Cut the connection; the returned response reaches nobody."""
    if request.transport:
        request.transport.abort()
    return web.Response(status=_CUT)


def _told(response: web.StreamResponse) -> int:
    """Return the status that the bot saw, 0 for none."""
    return 0 if response.status == _CUT else response.status


async def _slowly(request: web.Request, status: int, body: JsonObject, seconds: float) -> web.StreamResponse:
    """Answer over `seconds`, with spaces before the JSON so that the bot reads something every second."""
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    await response.prepare(request)
    until = time.monotonic() + seconds
    with suppress(ConnectionResetError):
        while (left := until - time.monotonic()) > 0:
            await response.write(b" ")
            await asyncio.sleep(min(1.0, left))
        await response.write(json.dumps(body).encode())
    return response


async def _trickle(request: web.Request, stored: StoredFile, rule: Rule) -> web.StreamResponse:
    """Send a file in pieces over `seconds`; a truncated one ends halfway."""
    data = stored.read()
    response = web.StreamResponse(headers={"Content-Length": str(len(data))})
    await response.prepare(request)
    end = len(data) // 2 if rule.effect == "truncated" else len(data)
    piece = -(-len(data) // _SLOW_PIECES)
    try:
        for start in range(0, end, piece):
            await response.write(data[start : min(start + piece, end)])
            await asyncio.sleep(rule.seconds / _SLOW_PIECES)
    except ConnectionResetError:
        # The bot hung up.
        return response
    if rule.effect == "truncated" and request.transport:
        request.transport.close()
    return response


ROUTES = [
    web.route("*", "/bot{token}/{method}", bot_method),
    web.get("/file/bot{token}/{path:.+}", bot_file),
]
