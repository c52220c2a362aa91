"""Check that Telegram knows the bot, delivers its updates, and lets it answer guests with pictures."""

from datetime import UTC, datetime, timedelta
from typing import Any

from telegram import User, WebhookInfo

from botsite import aws
from botsite.bot.telegram.client import NoToken
from botsite.bot.telegram.errors import TelegramError
from deploy.certificates import acm, self_signed
from deploy.cfn import remedies
from deploy.cfn.cloudformation import Stack
from deploy.service import Service
from deploy.webhook import bot_api, guests, registration
from deploy.webhook.guests import GuestMode
from metrics.health.findings import Finding, failed, ok, warning
from metrics.health.words import count, span

# An older error is over.
_RECENT = timedelta(minutes=15)
# More than a sender is willing to wait for.
_MANY = 100


def ask_for_bot(service: Service) -> Finding[Any]:
    """Ask Telegram which bot the token belongs to."""
    try:
        me: User = bot_api.ask(service.token(), lambda bot: bot.get_me)
    except TelegramError as error:
        if remedies.denied_action(error) or isinstance(error, NoToken):
            raise
        return failed(str(error), f"Store it again: python manage.py rotate telegram-token --prefix {service}")
    return ok(f"the token belongs to @{me.username}")


def read_webhook(service: Service) -> Finding[Any]:
    """Ask Telegram where it sends updates and whether deliveries fail."""
    info: WebhookInfo = bot_api.ask(service.token(), lambda bot: bot.get_webhook_info)
    web = service.stack("web")
    own = self_signed.is_self_signed(acm.pem(web.parameters["CertificateArn"]))
    url = _expected_url(web) or info.url
    return judge_webhook(info, url, own, datetime.now(UTC), f"python manage.py set_webhook --prefix {service}")


@aws.real_only(otherwise="")
def _expected_url(web: Stack) -> str:
    """Return the webhook's address; empty at an emulator, whose load balancer isn't in DNS: it has another there."""
    return f"https://{web.outputs['WebhookHost']}{registration.PATH}"


def judge_webhook(info: WebhookInfo, url: str, own_certificate: bool, now: datetime, command: str) -> Finding[Any]:
    """Judge the webhook at Telegram, which should be at `url`, with our certificate or without one."""
    waiting, since = info.pending_update_count, now - info.last_error_date if info.last_error_date else None
    data = {"url": info.url, "pending": waiting, "last_error": info.last_error_message}
    data["last_error_seconds"] = round(since.total_seconds()) if since else None
    pending = f"{count(waiting, 'update')} pending"
    if not info.url:
        return failed(f"Telegram sends updates nowhere; {pending}", f"Run: {command}", data)
    if info.url != url:
        return failed(f"Telegram sends updates to {info.url} instead of {url}; {pending}", f"Run: {command}", data)
    if info.has_custom_certificate != own_certificate:
        has, uses = ("a", "another") if info.has_custom_certificate else ("no", "a")
        seen = f"Telegram has {has} self-signed certificate, but the load balancer uses {uses} one; {pending}"
        return failed(seen, f"Run: {command} --again", data)
    seen = f"updates go to {info.url}; {pending}"
    if since and since < _RECENT:
        todo = (
            f"403: run {command} --again. Certificate error: see `certificate`. 5xx, timeout: see `route`, `targets`."
        )
        return warning(
            f"{seen}; a delivery failed {span(since.total_seconds())} ago: {info.last_error_message}", todo, data
        )
    if waiting > _MANY:
        return warning(seen, "The sites are too slow for the updates: see `targets` and the sites' logs.", data)
    return ok(
        f"{seen}; the last error was {span(since.total_seconds())} ago: {info.last_error_message}" if since else seen,
        data,
    )


def ask_for_guests(service: Service) -> Finding[Any]:
    """Ask Telegram whether guest mode is on, and whether the bot can write to the storage chat."""
    # A stack of an earlier release has no such parameter.
    chat = service.stack("web").parameters.get("StorageChat", "")
    return judge_guests(guests.look(service.token(), int(chat) if chat else None), service)


def judge_guests(mode: GuestMode, service: Service) -> Finding[Any]:
    """Judge guest mode as Telegram has it."""
    change = f"python manage.py provision --prefix {service} --parameter StorageChat="
    if mode.refusal:
        return failed(
            f"the bot can't write to the chat {mode.storage_chat}: {mode.refusal}",
            f"Add the bot to that chat, or name another one: {change}ID",
        )
    if mode.storage_chat is None:
        return ok("guests are answered with text alone: StorageChat is empty" if mode.on else "guest mode is off")
    if not mode.on:
        return warning(
            "there is a chat for guests' pictures, but guest mode is off",
            f"Turn it on with @BotFather (Bot Settings), or run: {change}",
        )
    return ok(f"guests are answered with pictures, by way of the chat {mode.storage_chat}")
