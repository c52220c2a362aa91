"""Tell Telegram where updates go. Once for a deployment, never by the sites: two that do it at once disturb each other.

Telegram says neither the secret nor the certificate that it has, only whether it has one of our own.
"""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from telegram import Bot, InputFile, WebhookInfo

from botsite import logs
from botsite.bot.errors import TelegramError
from deploy.webhook import bot_api

PATH = "/telegram/webhook"
ALLOWED_UPDATES = ("message", "callback_query")
# Telegram's default, and what two sites on micro instances can take at once.
MAX_CONNECTIONS = 40
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{3,}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_YES = {True: "yes", False: "no"}


@dataclass(frozen=True)
class Registered:
    """What was done: what differed from what is wanted (empty: nothing), and what Telegram says afterwards."""

    changes: list[str]
    sent: bool
    info: WebhookInfo


def register(url: str, token: str, secret: str, certificate: bytes | None = None, again: bool = False) -> Registered:
    """Have updates sent to `url`; give Telegram the `certificate` (PEM) if no authority vouches for the host.

    Nothing is sent if Telegram has all this already, unless `again`, or there is a certificate: it does not say
    which one it has. What waits to be delivered stays. Raise TelegramError with what to do.
    """
    _check(url, token, secret)
    logs.hide(token)
    # In a thread: whoever calls may have an event loop already.
    wanted = _Wanted(url, secret, certificate)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _register(bot_api.bot(token), wanted, again)).result()


def remove(url: str, token: str) -> bool:
    """Have Telegram forget the webhook if it is at `url`; what waits to be delivered stays. Raise TelegramError."""
    logs.hide(token)
    if bot_api.ask(token, lambda bot: bot.get_webhook_info).url != url:
        return False
    return bot_api.ask(token, lambda bot: lambda: bot.delete_webhook(drop_pending_updates=False))


def state(info: WebhookInfo) -> list[str]:
    """Return what Telegram says of the webhook: where, what waits, what went wrong last."""
    own = ", with our certificate" if info.has_custom_certificate else ""
    lines = [f"updates go to {info.url}{own}; {info.pending_update_count} wait to be delivered"]
    if info.last_error_date:
        age = round((datetime.now(UTC) - info.last_error_date).total_seconds())
        lines.append(f"the last delivery that failed, {age} s ago: {info.last_error_message}")
    return lines


@dataclass(frozen=True)
class _Wanted:
    url: str
    secret: str = field(repr=False)
    certificate: bytes | None


async def _register(bot: Bot, wanted: _Wanted, again: bool) -> Registered:
    async with bot.request:
        info = await bot_api.call(bot.get_webhook_info)
        changes = _differences(info, wanted)
        sent = bool(changes or wanted.certificate or again or _refused(info))
        if sent:
            await bot_api.call(lambda: _send(bot, wanted))
            info = await bot_api.call(bot.get_webhook_info)
            if left := _differences(info, wanted):
                raise TelegramError(f"Telegram took the webhook, but not all of it: {'; '.join(left)}", permanent=True)
        return Registered(changes, sent, info)


async def _send(bot: Bot, wanted: _Wanted) -> bool:
    certificate = wanted.certificate
    return await bot.set_webhook(
        wanted.url,
        # As a file: the text of a certificate is taken for an empty parameter, without a word.
        certificate=InputFile(certificate, filename="certificate.pem") if certificate else None,
        allowed_updates=ALLOWED_UPDATES,
        max_connections=MAX_CONNECTIONS,
        secret_token=wanted.secret,
        # Each is a photo that somebody waits for.
        drop_pending_updates=False,
    )


def _check(url: str, token: str, secret: str) -> None:
    """Raise TelegramError for what Telegram would refuse, or worse, take."""
    if not _SECRET.fullmatch(secret):
        raise TelegramError(
            "The webhook's secret is empty or has characters other than A-Z a-z 0-9 _ - (at most 256), so that "
            "anybody could send updates. `python manage.py stack_env` prints where that of a stack is.",
            permanent=True,
        )
    check_token(token)
    if not url.startswith(("https://", "http://")):
        raise TelegramError(f"{url!r} is no address for a webhook: it begins with https://", permanent=True)


def check_token(token: str) -> None:
    """Raise TelegramError for what cannot be a token."""
    if not _TOKEN.fullmatch(token):
        raise TelegramError(f"This is no bot token: it looks like 123456789:AA... {bot_api.WHERE_FROM}", permanent=True)


def _differences(info: WebhookInfo, wanted: _Wanted) -> list[str]:
    """Return what Telegram has otherwise than wanted, a text each."""
    pairs = (
        ("address", info.url or "none", wanted.url),
        ("kinds of updates", ", ".join(sorted(info.allowed_updates or ())), ", ".join(sorted(ALLOWED_UPDATES))),
        ("connections", str(info.max_connections), str(MAX_CONNECTIONS)),
        ("certificate of our own", _YES[info.has_custom_certificate], _YES[bool(wanted.certificate)]),
    )
    return [f"{what}: {has or 'all'} instead of {needed}" for what, has, needed in pairs if has != needed]


def _refused(info: WebhookInfo) -> bool:
    """Return whether Telegram's last delivery failed by something that sending the secret anew can mend."""
    return "403" in (info.last_error_message or "")
