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
import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from telegram import Bot, Message, ReplyParameters, WebhookInfo
from telegram import error as api
from telegram.request import HTTPXRequest

from botsite import aws, logs
from botsite.bot import rate_limit
from botsite.bot.downloads import Spool

log = structlog.get_logger()

# python-telegram-bot reads it at each 429: without it, retry_after comes with a deprecation warning.
os.environ.setdefault("PTB_TIMEDELTA", "1")

# The Bot API gives bots no larger file.
MAX_FILE_BYTES = 20 * 1024 * 1024
# Of a file, from getFile to its last byte: Telegram waits a minute for the webhook to answer, a site that leaves less.
_DOWNLOAD_SECONDS = 20
_POOL_SECONDS, _CONNECT_SECONDS, _SENDING_SECONDS = 10, 5, 30
# A send is given up after this, whatever it waits for: what Telegram took and did not confirm would come twice.
# deliveries.LEASE has to be longer.
LONGEST_SEND_SECONDS = 75
# Parsing the CA bundle costs more than a request: all connections share one context.
_TLS = ssl.create_default_context()
_in_thread = sync_to_async(thread_sensitive=False)
P = ParamSpec("P")
T = TypeVar("T")
_bots: WeakKeyDictionary[asyncio.AbstractEventLoop, Bot] = WeakKeyDictionary()
_usernames: dict[int, str] = {}
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()


class TooLarge(Exception):
    """Telegram gives bots no file of this size."""


class TelegramError(Exception):
    """The Bot API did not do what was asked. `permanent`: asking again cannot help.

    `blocked`: the chat is closed to the bot. `retry_after_seconds`: Telegram said when to ask again.
    `migrated_to`: the group has become a supergroup, with this id. `answered`: Telegram answered this very request
    with an error; the network, a limit and a wrong token could have failed any other.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        blocked: bool = False,
        retry_after_seconds: float | None = None,
        migrated_to: int | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(logs.redact(message))
        self.permanent = permanent
        self.blocked = blocked
        self.retry_after_seconds = retry_after_seconds
        self.migrated_to = migrated_to
        self.answered = answered

    @property
    def token_refused(self) -> bool:
        """Return whether Telegram does not know the token: an operator has to store another."""
        return isinstance(self.__cause__, api.InvalidToken)


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
            if not error.token_refused or (await _bot()).token == used:
                raise
            return await call(*arguments, **more)

    return called


async def username() -> str:
    """Return the bot's own @name, without the @ and in lower case; asked for once per process."""
    number = await _in_thread(bot_id)()
    if number not in _usernames:
        _usernames[number] = await _asked_username()
    return _usernames[number]


@_with_the_stored_token
async def _asked_username() -> str:
    bot = await _bot()
    try:
        return str((await bot.get_me()).username).lower()
    except api.TelegramError as error:
        raise _translate("getMe", error) from error


@_with_the_stored_token
async def download(file_id: str, look: Callable[[bytes], object], head_bytes: int) -> Spool:
    """Return a file that somebody sent, which the caller closes. `look` gets its first `head_bytes`, and may raise.

    Raise TooLarge, spool.Full or TelegramError; a file that Telegram does not have is a permanent one.
    """
    bot = await _bot()
    try:
        async with asyncio.timeout(_DOWNLOAD_SECONDS):
            file = await bot.get_file(file_id)
            async with _files().stream("GET", str(file.file_path), headers={"Accept-Encoding": "identity"}) as answer:
                return await _spooled(answer, look, head_bytes)
    except api.BadRequest as error:
        if "file is too big" in error.message.lower():
            raise TooLarge(error.message) from error
        # Telegram's word for a file that it moves, and for one that never was: the age of the message tells.
        unavailable = "temporarily unavailable" in error.message.lower()
        raise TelegramError(f"getFile: {error.message}", permanent=not unavailable) from error
    except api.TelegramError as error:
        raise _translate("getFile", error) from error
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise TelegramError(f"download: {error!r}", permanent=False) from error


async def _spooled(answer: httpx.Response, look: Callable[[bytes], object], head_bytes: int) -> Spool:
    if answer.status_code != 200:
        # getFile has just taken the token: a 404 is about the file.
        raise TelegramError(f"download: status {answer.status_code}", permanent=answer.status_code == 404)
    length = answer.headers.get("Content-Length", "")
    capacity = int(length) if length.isdecimal() else MAX_FILE_BYTES
    if capacity > MAX_FILE_BYTES:
        raise TooLarge(f"the file has {capacity} bytes")
    chunks = answer.aiter_raw()
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= head_bytes:
            break
    look(bytes(head))
    spool = Spool(capacity)
    try:
        fits = spool.add(head)
        async for chunk in chunks:
            fits = fits and spool.add(chunk)
            if not fits:
                break
        if not fits:
            raise TooLarge(f"the file has more than {capacity} bytes")
        spool.end()
    except BaseException:
        spool.close()
        raise
    return spool


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
    loop = asyncio.get_running_loop()
    if bot := _bots.pop(loop, None):
        await bot.request.shutdown()
    if client := _clients.pop(loop, None):
        await client.aclose()


@asynccontextmanager
async def _sending(chat_id: int, action: str, before: float) -> AsyncIterator[None]:
    """Wait for a place under Telegram's limits, then send; a 429 holds back this chat, for everybody who sends to it.

    The chat's place comes first: it may be far away, and a place of the bot's must not pass unused meanwhile.
    """
    chat, probed = rate_limit.chat(chat_id), list[rate_limit.Limit]()
    try:
        for limit in (chat, rate_limit.BOT):
            place = await _in_thread(rate_limit.reserve)(limit)
            if place.probe:
                probed.append(limit)
            await asyncio.sleep(place.wait_seconds)
        if time.monotonic() > before:
            raise TelegramError(f"{action} to chat {chat_id}: its turn came too late", permanent=False)
        async with asyncio.timeout(LONGEST_SEND_SECONDS):
            yield
    except TimeoutError as error:
        raise TelegramError(f"{action} to chat {chat_id}: no answer in time", permanent=False) from error
    except rate_limit.TooBusy as error:
        message, again = f"{action} to chat {chat_id}: {error}", error.retry_after_seconds
        raise TelegramError(message, permanent=False, retry_after_seconds=again) from error
    except api.TelegramError as error:
        translated = _translate(f"{action} to chat {chat_id}", error)
        if seconds := translated.retry_after_seconds:
            again = await _in_thread(rate_limit.refused)(chat_id, seconds, probe=chat in probed)
            translated.retry_after_seconds = again
        raise translated from error
    for limit in probed:
        await _resume(limit)


async def _resume(limit: rate_limit.Limit) -> None:
    """End a pause that has turned out to be over; not for the price of the answer, which is sent."""
    try:
        await _in_thread(rate_limit.resume)(limit)
    except (ClientError, BotoCoreError) as error:
        log.warning("pause_not_ended", limit=limit.key, error=str(error))


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


def _files() -> httpx.AsyncClient:
    """Return the client for files: python-telegram-bot gives a file as a whole, in three copies."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        limits = httpx.Limits(max_connections=32, keepalive_expiry=30)
        _clients[loop] = httpx.AsyncClient(verify=_TLS, limits=limits, timeout=_POOL_SECONDS)
    return _clients[loop]


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
            return TelegramError(message, permanent=True, blocked=True, answered=True)
        case api.ChatMigrated():
            return TelegramError(message, permanent=True, migrated_to=error.new_chat_id, answered=True)
        case api.BadRequest():
            blocked = "chat not found" in error.message.lower()
            return TelegramError(message, permanent=True, blocked=blocked, answered=True)
        case _:
            return TelegramError(message, permanent=False, answered=_is_an_answer(error))


def _is_an_answer(error: api.TelegramError) -> bool:
    """Return whether Telegram answered: what else went wrong, the library names as the cause.

    A 502 has its own error as the cause: its body is not JSON. A 429 may come without `retry_after`.
    """
    answer = error.__cause__ is None or isinstance(error.__cause__, api.TelegramError)
    return answer and "too many requests" not in error.message.lower()


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
