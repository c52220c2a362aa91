"""Call the Bot API from a command: repeat the call when Telegram asks for it, and explain its errors."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from telegram import Bot
from telegram import error as api
from telegram.request import HTTPXRequest

from botsite.bot.telegram.errors import TelegramError
from deploy import background

WHERE_FROM = (
    "Take it from @BotFather and store it in the secret that TELEGRAM_TOKEN_SECRET names "
    "(or, on a laptop, in TELEGRAM_TOKEN)."
)
_TRIES = 3
Answer = TypeVar("Answer")


def bot(token: str) -> Bot:
    """Return a client of the Bot API for one event loop; `async with bot.request` closes what it opens."""
    base = settings.TELEGRAM_API_URL.rstrip("/")
    return Bot(token, base_url=f"{base}/bot", request=HTTPXRequest(connect_timeout=10, read_timeout=20))


def ask(token: str, method: Callable[[Bot], Callable[[], Awaitable[Answer]]]) -> Answer:
    """Call one method of the Bot API and return its answer; raise TelegramError."""

    async def once() -> Answer:
        client = bot(token)
        async with client.request:
            return await call(method(client))

    # In a thread: the caller may already run an event loop.
    return background.start(lambda: asyncio.run(once())).result()


async def call(method: Callable[[], Awaitable[Answer]]) -> Answer:
    """Call the Bot API, waiting when it says so: it takes one setWebhook a second. Raise TelegramError."""
    for left in reversed(range(_TRIES)):
        try:
            return await method()
        except (api.RetryAfter, api.Conflict) as error:
            if not left:
                raise TelegramError(f"Telegram is busy: {error.message}", permanent=False) from error
            wait = getattr(error, "retry_after", timedelta(seconds=1))
            await asyncio.sleep(wait.total_seconds() if isinstance(wait, timedelta) else wait)
        except api.InvalidToken as error:
            raise TelegramError(f"Telegram doesn't know this bot token. {WHERE_FROM}", permanent=True) from error
        except (api.BadRequest, api.Forbidden) as error:
            raise TelegramError(f"Telegram refuses: {error.message}", permanent=True) from error
        except api.TelegramError as error:
            raise TelegramError(
                f"{settings.TELEGRAM_API_URL} doesn't answer: {error.message}. Try again.", permanent=False
            ) from error
    raise AssertionError("the last try returns or raises")
