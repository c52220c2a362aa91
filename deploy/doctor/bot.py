"""Whether Telegram knows the bot, and delivers its updates."""

from datetime import UTC, datetime, timedelta

from telegram import User, WebhookInfo

from botsite.bot.errors import TelegramError
from deploy.certificates import acm, self_signed
from deploy.cfn import refusals
from deploy.doctor.findings import Verdict, failed, ok, warning
from deploy.doctor.place import Place
from deploy.webhook import bot_api, registration

# An error that is older was overcome.
_RECENT = timedelta(minutes=15)
# Photos that wait longer than a sender does.
_MANY = 100


def token(place: Place) -> Verdict:
    """Ask Telegram who the token is."""
    try:
        me: User = bot_api.ask(place.token(), lambda bot: bot.get_me)
    except TelegramError as error:
        if refusals.denied_action(error):
            raise
        return failed(str(error), f"Store the token again: python manage.py rotate telegram-token {_prefix(place)}")
    return ok(f"the token is that of @{me.username}")


def registered(place: Place) -> Verdict:
    """Ask Telegram where it sends updates and how the last deliveries went."""
    info: WebhookInfo = bot_api.ask(place.token(), lambda bot: bot.get_webhook_info)
    web = place.stack("web")
    # No name server knows the name of an emulator's load balancer, so updates come to another address there.
    url = info.url if place.emulated and info.url else f"https://{web.outputs['WebhookHost']}{registration.PATH}"
    own = self_signed.is_self_signed(acm.pem(web.parameters["CertificateArn"]))
    return judge(info, url, own, datetime.now(UTC), f"python manage.py set_webhook {_prefix(place)}")


def judge(info: WebhookInfo, url: str, own_certificate: bool, now: datetime, command: str) -> Verdict:
    """Judge what Telegram says of the webhook, which should be at `url`, with our certificate or without one."""
    waiting = f"{info.pending_update_count} updates wait"
    if info.url != url or not url:
        return failed(
            f"Telegram sends updates to {info.url or 'nowhere'} instead of {url}; {waiting}", f"Run: {command}"
        )
    if info.has_custom_certificate != own_certificate:
        has = "has a certificate of ours" if info.has_custom_certificate else "has no certificate of ours"
        return failed(f"Telegram {has}, and the load balancer's says otherwise; {waiting}", f"Run: {command} --again")
    seen = f"updates go to {info.url}; {waiting}"
    if info.last_error_date and now - info.last_error_date < _RECENT:
        age = round((now - info.last_error_date).total_seconds())
        return warning(
            f"{seen}; {age} s ago a delivery failed: {info.last_error_message}",
            f"403: run {command} --again. Certificate: see that check. 5xx or a timeout: see `route` and `targets`.",
        )
    if info.pending_update_count > _MANY:
        return warning(seen, "The sites take them slower than they come: see `targets`, and the sites' logs.")
    return ok(seen)


def _prefix(place: Place) -> str:
    return f"--prefix {place.prefix}"
