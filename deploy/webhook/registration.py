"""Register the webhook with Telegram: once per deployment, never from the sites, which would interfere with each other.

Telegram tells neither the secret nor the certificate that it has, only whether it was given a certificate.
"""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from telegram import Bot, InputFile, WebhookInfo

from botsite import logs
from botsite.bot.telegram.errors import TelegramError
from deploy.webhook import bot_api

PATH = "/telegram/webhook"
ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "guest_message")
# Telegram's default, and what two sites on micro instances can handle at once.
MAX_CONNECTIONS = 40
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{3,}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_YES = {True: "yes", False: "no"}


@dataclass(frozen=True)
class Registered:
    """The result: a line for each setting that was changed, whether anything was sent, and Telegram's answer."""

    changes: list[str]
    sent: bool
    info: WebhookInfo


def register(url: str, token: str, secret: str, certificate: bytes | None = None, again: bool = False) -> Registered:
    """Have updates sent to `url`, with the `certificate` (PEM) that Telegram has to trust if it is self-signed.

    Nothing is sent if Telegram already has all this, except with `again` or a certificate: it doesn't tell which
    certificate it has. Pending updates are kept. Raise TelegramError with what to do.
    """
    _check(url, token, secret)
    logs.hide(token)
    # In a thread: the caller may already run an event loop.
    wanted = _Wanted(url, secret, certificate)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _register(bot_api.bot(token), wanted, again)).result()


def current(token: str) -> WebhookInfo:
    """Return the webhook as Telegram has it, with an empty address for none. Raise TelegramError."""
    logs.hide(token)
    check_token(token)
    return bot_api.ask(token, lambda bot: bot.get_webhook_info)


def remove(url: str, token: str) -> bool:
    """Have Telegram forget the webhook if it is at `url`; pending updates are kept. Raise TelegramError."""
    logs.hide(token)
    if bot_api.ask(token, lambda bot: bot.get_webhook_info).url != url:
        return False
    return bot_api.ask(token, lambda bot: lambda: bot.delete_webhook(drop_pending_updates=False))


def state(info: WebhookInfo) -> list[str]:
    """Return the webhook's state at Telegram: its address, the pending updates, the last error."""
    own = ", with a self-signed certificate" if info.has_custom_certificate else ""
    lines = [f"updates go to {info.url}{own}; {info.pending_update_count} pending"]
    if info.last_error_date:
        age = round((datetime.now(UTC) - info.last_error_date).total_seconds())
        lines.append(f"the last failed delivery, {age} s ago: {info.last_error_message}")
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
                raise TelegramError(
                    f"Telegram accepted the webhook, but these settings differ: {'; '.join(left)}", permanent=True
                )
        return Registered(changes, sent, info)


async def _send(bot: Bot, wanted: _Wanted) -> bool:
    certificate = wanted.certificate
    return await bot.set_webhook(
        wanted.url,
        # As a file: Telegram silently ignores the certificate as text.
        certificate=InputFile(certificate, filename="certificate.pem") if certificate else None,
        allowed_updates=ALLOWED_UPDATES,
        max_connections=MAX_CONNECTIONS,
        secret_token=wanted.secret,
        # Each is a photo that somebody is waiting for.
        drop_pending_updates=False,
    )


def _check(url: str, token: str, secret: str) -> None:
    """Raise TelegramError for what Telegram would refuse or, worse, accept."""
    if not _SECRET.fullmatch(secret):
        raise TelegramError(
            "The webhook's secret must be 1 to 256 of the characters A-Z a-z 0-9 _ -; without one, anybody could send "
            "updates. `python manage.py stack_env` prints where the secret of a stack is.",
            permanent=True,
        )
    check_token(token)
    if not url.startswith(("https://", "http://")):
        raise TelegramError(f"{url!r} can't be a webhook: it has to start with https://", permanent=True)


def check_token(token: str) -> None:
    """Raise TelegramError for a text that can't be a token."""
    if not _TOKEN.fullmatch(token):
        raise TelegramError(
            f"This isn't a bot token, which looks like 123456789:AA... {bot_api.WHERE_FROM}", permanent=True
        )


def _differences(info: WebhookInfo, wanted: _Wanted) -> list[str]:
    """Return a line for each setting that Telegram has different from what is wanted."""
    pairs = (
        ("address", info.url or "none", wanted.url),
        ("update types", ", ".join(sorted(info.allowed_updates or ())), ", ".join(sorted(ALLOWED_UPDATES))),
        ("connections", str(info.max_connections), str(MAX_CONNECTIONS)),
        ("self-signed certificate", _YES[info.has_custom_certificate], _YES[bool(wanted.certificate)]),
    )
    return [f"{what}: {has or 'all'} -> {needed}" for what, has, needed in pairs if has != needed]


def _refused(info: WebhookInfo) -> bool:
    """Return whether the last delivery failed in a way that sending the secret again can fix."""
    return "403" in (info.last_error_message or "")
