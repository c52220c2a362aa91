"""Connect to Telegram with the bot's token: a Bot and a client for files for each event loop, made when first needed.

So the site boots while Telegram is down.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from telegram import Bot
from telegram.request import HTTPXRequest

from botsite import aws, logs
from botsite.bot.telegram.errors import TelegramError
from botsite.threads import in_thread

_POOL_SECONDS, _CONNECT_SECONDS, _SENDING_SECONDS = 10, 5, 30
# Parsing the CA bundle costs more than a request: all connections share one context.
_TLS = ssl.create_default_context()
P = ParamSpec("P")
T = TypeVar("T")
_bots: WeakKeyDictionary[asyncio.AbstractEventLoop, Bot] = WeakKeyDictionary()
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()


class NoToken(TelegramError):
    """The secret has no value yet, or will have none: `poll` gives the token to its site alone."""


@cache
def token() -> str:
    """Return the token that this process uses: TELEGRAM_TOKEN, or else the stored one, read once."""
    value = settings.TELEGRAM_TOKEN or stored_token(settings.TELEGRAM_TOKEN_SECRET)
    logs.hide(value)
    return value


def bot_id() -> int:
    """Return the bot's own user id, which its token begins with."""
    return int(token().partition(":")[0])


def stored_token(secret_id: str) -> str:
    """Return the token from Secrets Manager: the plain value, or TELEGRAM_TOKEN of a JSON object."""
    if not secret_id:
        raise ImproperlyConfigured("Set TELEGRAM_TOKEN_SECRET to the Secrets Manager id of the bot's token.")
    try:
        value: str = aws.client("secretsmanager").get_secret_value(SecretId=secret_id).get("SecretString", "")
    except (ClientError, BotoCoreError) as error:
        raise TelegramError(f"reading secret {secret_id}: {error}", permanent=False) from error
    found = str(json.loads(value)["TELEGRAM_TOKEN"]) if value.lstrip().startswith("{") else value.strip()
    if not found:
        raise NoToken(f"secret {secret_id} holds no token: {_who_has_it()}", permanent=False)
    return found


@aws.real_only(otherwise="under `poll` only the site has it")
def _who_has_it() -> str:
    return "`python manage.py provision` asks for it"


async def bot() -> Bot:
    """Return this event loop's Bot."""
    loop = asyncio.get_running_loop()
    if loop not in _bots:
        base = settings.TELEGRAM_API_URL.rstrip("/")
        value = await in_thread(token)()
        _bots[loop] = Bot(
            value,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=_request(),
            get_updates_request=_request(),
        )
    return _bots[loop]


def files() -> httpx.AsyncClient:
    """Return this event loop's client for files: python-telegram-bot reads a file as a whole, in three copies."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient(verify=_TLS, limits=_limits(), timeout=_POOL_SECONDS)
    return _clients[loop]


async def close() -> None:
    """Close this event loop's connections, for a loop that does not last as long as its process."""
    loop = asyncio.get_running_loop()
    if bot := _bots.pop(loop, None):
        await bot.request.shutdown()
    if client := _clients.pop(loop, None):
        await client.aclose()


def with_the_stored_token(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Call again, once, if Telegram does not know the token that was used and another has been stored since.

    Each process keeps the token: without this, each would fail a photo before it uses a new one.
    """

    @wraps(call)
    async def called(*arguments: P.args, **more: P.kwargs) -> T:
        used = (await bot()).token
        try:
            return await call(*arguments, **more)
        except TelegramError as error:
            if not error.token_refused:
                raise
            token.cache_clear()
            _bots.clear()
            if (await bot()).token == used:
                raise
            return await call(*arguments, **more)

    return called


def _request() -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=32,
        pool_timeout=_POOL_SECONDS,
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=15,
        write_timeout=15,
        media_write_timeout=_SENDING_SECONDS,
        httpx_kwargs={"verify": _TLS, "limits": _limits()},
    )


def _limits() -> httpx.Limits:
    return httpx.Limits(max_connections=32, keepalive_expiry=30)
