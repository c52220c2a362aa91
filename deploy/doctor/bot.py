"""Check that Telegram knows the bot and delivers its updates."""

from datetime import UTC, datetime, timedelta

from telegram import User, WebhookInfo

from botsite import aws
from botsite.bot.telegram.client import NoToken
from botsite.bot.telegram.errors import TelegramError
from deploy.certificates import acm, self_signed
from deploy.cfn import remedies
from deploy.doctor.findings import Verdict, failed, ok, warning
from deploy.service import Service
from deploy.webhook import bot_api, registration

# An older error is over.
_RECENT = timedelta(minutes=15)
# More than a sender is willing to wait for.
_MANY = 100


def token(service: Service) -> Verdict:
    """Ask Telegram which bot the token belongs to."""
    try:
        me: User = bot_api.ask(service.token(), lambda bot: bot.get_me)
    except TelegramError as error:
        if remedies.denied_action(error) or isinstance(error, NoToken):
            raise
        return failed(str(error), f"Store it again: python manage.py rotate telegram-token --prefix {service}")
    return ok(f"the token belongs to @{me.username}")


def registered(service: Service) -> Verdict:
    """Ask Telegram where it sends updates and whether deliveries fail."""
    info: WebhookInfo = bot_api.ask(service.token(), lambda bot: bot.get_webhook_info)
    web = service.stack("web")
    # The name of an emulator's load balancer isn't in DNS, so updates go to another address there.
    url = info.url if aws.emulated() and info.url else f"https://{web.outputs['WebhookHost']}{registration.PATH}"
    own = self_signed.is_self_signed(acm.pem(web.parameters["CertificateArn"]))
    return judge(info, url, own, datetime.now(UTC), f"python manage.py set_webhook --prefix {service}")


def judge(info: WebhookInfo, url: str, own_certificate: bool, now: datetime, command: str) -> Verdict:
    """Judge the webhook at Telegram, which should be at `url`, with our certificate or without one."""
    waiting = f"{info.pending_update_count} updates pending"
    if info.url != url or not url:
        return failed(
            f"Telegram sends updates to {info.url or 'nowhere'} instead of {url}; {waiting}", f"Run: {command}"
        )
    if info.has_custom_certificate != own_certificate:
        has, uses = ("a", "another") if info.has_custom_certificate else ("no", "a")
        return failed(
            f"Telegram has {has} self-signed certificate, but the load balancer uses {uses} one; {waiting}",
            f"Run: {command} --again",
        )
    seen = f"updates go to {info.url}; {waiting}"
    if info.last_error_date and now - info.last_error_date < _RECENT:
        age = round((now - info.last_error_date).total_seconds())
        return warning(
            f"{seen}; a delivery failed {age} s ago: {info.last_error_message}",
            f"403: run {command} --again. Certificate error: see `certificate`. 5xx, timeout: see `route`, `targets`.",
        )
    if info.pending_update_count > _MANY:
        return warning(seen, "The sites are too slow for the updates: see `targets` and the sites' logs.")
    return ok(seen)
