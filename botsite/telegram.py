"""Talk to the Bot API: one Bot per event loop, made when first needed, so that the site boots with Telegram down."""

import asyncio
import json
import math
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import httpx
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from telegram import Bot, Message, ReplyParameters, WebhookInfo
from telegram import error as api
from telegram.request import HTTPXRequest

from . import aws, logs, pace

# python-telegram-bot reads it at each 429: without it, retry_after comes with a deprecation warning.
os.environ.setdefault("PTB_TIMEDELTA", "1")

_POOL_SECONDS, _CONNECT_SECONDS, _SENDING_SECONDS = 10, 5, 30
# A send is given up after this, whatever it waits for: what Telegram took and did not confirm would come twice.
# predictions.DELIVERY_LEASE has to be longer.
LONGEST_SEND_SECONDS = 75
# Parsing the CA bundle costs more than a request: all connections share one context.
_TLS = ssl.create_default_context()
_in_thread = sync_to_async(thread_sensitive=False)
P = ParamSpec("P")
T = TypeVar("T")
_bots: WeakKeyDictionary[asyncio.AbstractEventLoop, Bot] = WeakKeyDictionary()


class TelegramError(Exception):
    """The Bot API did not do what was asked. `permanent`: asking again cannot help.

    `blocked`: the chat is closed to the bot. `retry_after_seconds`: Telegram said when to ask again.
    """

    def __init__(
        self, message: str, *, permanent: bool, blocked: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(logs.redact(message))
        self.permanent = permanent
        self.blocked = blocked
        self.retry_after_seconds = retry_after_seconds


@cache
def token() -> str:
    """Return the bot's token, from Secrets Manager unless TELEGRAM_TOKEN holds it; read once per process."""
    value = settings.TELEGRAM_TOKEN or stored_token(settings.TELEGRAM_TOKEN_SECRET)
    logs.hide(value)
    return value


def bot_id() -> int:
    """Return the bot's own user id, which its token begins with."""
    return int(token().partition(":")[0])


def _with_the_stored_token(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Call again, once, if Telegram does not know the token that was used and another has been stored since.

    Each process keeps the token: without this, each would fail a photo before it takes up a new one.
    """

    @wraps(call)
    async def called(*arguments: P.args, **more: P.kwargs) -> T:
        used = (await _bot()).token
        try:
            return await call(*arguments, **more)
        except TelegramError as error:
            if not isinstance(error.__cause__, api.InvalidToken) or (await _bot()).token == used:
                raise
            return await call(*arguments, **more)

    return called


@_with_the_stored_token
async def download(file_id: str) -> bytes:
    """Return a file that somebody sent (at most 20 MB: Telegram's limit for bots)."""
    bot = await _bot()
    try:
        file = await bot.get_file(file_id)
        return bytes(await file.download_as_bytearray())
    except api.TelegramError as error:
        raise _translate("download", error) from error


@_with_the_stored_token
async def send_text(chat_id: int, text: str, reply_to: int | None = None, *, before: float = math.inf) -> Message:
    """Send a text, as a reply if `reply_to` is a message that still exists; not later than `before` (monotonic)."""
    bot = await _bot()
    async with _sending(chat_id, "sendMessage", before):
        return await bot.send_message(
            chat_id, text, reply_parameters=_reply(reply_to), read_timeout=LONGEST_SEND_SECONDS
        )


@_with_the_stored_token
async def send_image(
    chat_id: int,
    image: bytes,
    caption: str,
    *,
    form: Literal["photo", "document"],
    reply_to: int,
    before: float = math.inf,
) -> Message:
    """Send a JPEG with its caption (at most 1024 characters) as a photo, or as a file where a photo cannot be.

    Not later than `before` (monotonic seconds): whoever sends by a lease must not when it may have run out.
    """
    bot = await _bot()
    # Bytes, never a stream: a stream that was read by a failed try sends nothing the next time.
    arguments: dict[str, Any] = {
        "caption": caption,
        "reply_parameters": _reply(reply_to),
        "filename": "detections.jpg",
        "read_timeout": LONGEST_SEND_SECONDS,
    }
    send = bot.send_photo if form == "photo" else bot.send_document
    async with _sending(chat_id, form, before):
        return await send(chat_id, image, **arguments)


@_with_the_stored_token
async def show_activity(chat_id: int) -> None:
    """Show "sending photo..." in the chat for five seconds."""
    bot = await _bot()
    try:
        await bot.send_chat_action(chat_id, "upload_photo", read_timeout=3, connect_timeout=2)
    except api.TelegramError as error:
        raise _translate(f"sendChatAction to chat {chat_id}", error) from error


@_with_the_stored_token
async def webhook() -> WebhookInfo:
    """Return where Telegram sends this bot's updates, and how that goes."""
    bot = await _bot()
    try:
        return await bot.get_webhook_info()
    except api.TelegramError as error:
        raise _translate("getWebhookInfo", error) from error


async def close() -> None:
    """Close this event loop's connections, for a loop that does not last as long as its process."""
    bot = _bots.pop(asyncio.get_running_loop(), None)
    if bot:
        await bot.request.shutdown()


@asynccontextmanager
async def _sending(chat_id: int, action: str, before: float) -> AsyncIterator[None]:
    """Wait for a place under Telegram's limits, then send; a 429 holds back everybody who sends with this token."""
    try:
        for limit in (pace.chat(chat_id), pace.BOT):
            await asyncio.sleep(await _in_thread(pace.reserve)(limit))
        if time.monotonic() > before:
            raise TelegramError(f"{action} to chat {chat_id}: its turn came too late", permanent=False)
        async with asyncio.timeout(LONGEST_SEND_SECONDS):
            yield
    except TimeoutError as error:
        raise TelegramError(f"{action} to chat {chat_id}: no answer in time", permanent=False) from error
    except pace.TooBusy as error:
        seconds = error.retry_after_seconds
        raise TelegramError(
            f"{action} to chat {chat_id}: {error}", permanent=False, retry_after_seconds=seconds
        ) from error
    except api.TelegramError as error:
        translated = _translate(f"{action} to chat {chat_id}", error)
        if translated.retry_after_seconds:
            await _in_thread(pace.pause)(pace.BOT, translated.retry_after_seconds)
        raise translated from error


def _reply(message_id: int | None) -> ReplyParameters | None:
    return ReplyParameters(message_id, allow_sending_without_reply=True) if message_id else None


async def _bot() -> Bot:
    loop = asyncio.get_running_loop()
    if loop not in _bots:
        base = settings.TELEGRAM_API_URL.rstrip("/")
        value = await _in_thread(token)()
        _bots[loop] = Bot(
            value,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=_request(),
            get_updates_request=_request(),
        )
    return _bots[loop]


def _request() -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=32,
        pool_timeout=_POOL_SECONDS,
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=15,
        write_timeout=15,
        media_write_timeout=_SENDING_SECONDS,
        httpx_kwargs={"verify": _TLS, "limits": httpx.Limits(max_connections=32, keepalive_expiry=30)},
    )


def _translate(action: str, error: api.TelegramError) -> TelegramError:
    """Say whether a retry can help. The order matters: BadRequest and TimedOut are NetworkErrors to the library."""
    message = f"{action}: {error.message}"
    match error:
        case api.RetryAfter():
            wait = error.retry_after
            seconds = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
            return TelegramError(message, permanent=False, retry_after_seconds=seconds)
        case api.InvalidToken():
            # An operator stores a new one, and the next call reads it: until then nothing may be given up.
            token.cache_clear()
            _bots.clear()
            return TelegramError(message, permanent=False)
        case api.Forbidden():
            return TelegramError(message, permanent=True, blocked=True)
        case api.BadRequest() | api.ChatMigrated():
            return TelegramError(message, permanent=True, blocked="chat not found" in error.message.lower())
        case _:
            return TelegramError(message, permanent=False)


def stored_token(secret_id: str) -> str:
    """Return the token from Secrets Manager: the plain value, or TELEGRAM_TOKEN of a JSON object."""
    if not secret_id:
        raise ImproperlyConfigured("Set TELEGRAM_TOKEN_SECRET to the Secrets Manager id of the bot's token.")
    try:
        value: str = aws.client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]
    except (ClientError, BotoCoreError) as error:
        raise TelegramError(f"reading secret {secret_id}: {error}", permanent=False) from error
    found = str(json.loads(value)["TELEGRAM_TOKEN"]) if value.lstrip().startswith("{") else value.strip()
    if not found:
        raise TelegramError(
            f"secret {secret_id} holds no token: `python manage.py provision` asks for it", permanent=False
        )
    return found
