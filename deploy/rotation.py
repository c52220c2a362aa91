"""Replace a secret while the service runs. The previous value stays valid until every process has the new one."""

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botsite import aws, logs
from deploy.certificates import acm
from deploy.service import Service
from deploy.webhook import bot, bot_api, registration

# For how long processes accept the previous value.
_GRACE = timedelta(hours=1)
_ALPHABET = string.ascii_letters + string.digits
_BY_ITSELF = (
    "Sites and workers pick it up within ten minutes, or with the first call that needs it; the previous value is "
    "valid for an hour. To invalidate it at once, rotate again and restart the sites."
)
_RESTART_SITES = (
    "A site reads it when it starts. Restart the sites, one after the other: python manage.py restart polybot "
    "--prefix {service}"
)


@dataclass(frozen=True)
class Secret:
    """A secret of the service: the setting it holds, the length of a new value, and what to do after a rotation.

    `before` is the setting that keeps the previous value (with `first`, the very first one) for what was made with it.
    """

    setting: str
    length: int
    then: str
    before: str = ""
    first: bool = False


DRAWN: Mapping[str, Secret] = {
    "results-key": Secret("RESULTS_KEY", 48, _BY_ITSELF, before="PREDICTION_ID_KEY", first=True),
    "webhook-secret": Secret("TELEGRAM_WEBHOOK_SECRET", 48, _BY_ITSELF),
    "django-key": Secret("DJANGO_SECRET_KEY", 64, _RESTART_SITES, before="DJANGO_SECRET_KEY_FALLBACKS"),
    "admin-password": Secret("ADMIN_PASSWORD", 24, _RESTART_SITES),
}
TOKEN = "telegram-token"  # noqa: S105  # the name of the secret, not its value


def ends_grace(service: Service, name: str) -> bool:
    """Return whether a value that is still valid next to the present one would be refused from now on."""
    if DRAWN[name].then is not _BY_ITSELF:
        return False
    found = aws.client("secretsmanager").describe_secret(SecretId=f"{service}/{name}")
    kept = any("AWSPREVIOUS" in stages for stages in found.get("VersionIdsToStages", {}).values())
    return kept and datetime.now(UTC) - found["LastChangedDate"] < _GRACE


def rotate(service: Service, name: str) -> str:
    """Store a new random value of a secret; return what happens next, as a sentence."""
    service.stack("web")
    secret_id, kind = f"{service}/{name}", DRAWN[name]
    held = aws.secrets([secret_id])
    new = held | {kind.setting: "".join(secrets.choice(_ALPHABET) for _ in range(kind.length))}
    if kind.before and not (kind.first and kind.before in held):
        new[kind.before] = held[kind.setting]
    for value in new.values():
        logs.hide(value)
    aws.client("secretsmanager").put_secret_value(SecretId=secret_id, SecretString=json.dumps(new))
    return kind.then.format(service=service)


def tell_telegram(service: Service) -> str:
    """Give Telegram the stored webhook secret, for the address it already has; return what was done.

    Until Telegram has it, updates come with the previous secret. Raise TelegramError.
    """
    web = service.stack("web")
    secret, token = service.secret("TELEGRAM_WEBHOOK_SECRET"), service.token()
    info = bot_api.ask(token, lambda bot: bot.get_webhook_info)
    if not info.url:
        # Another bot, or perhaps one whose token was revoked.
        return (
            "Telegram has no webhook for this bot, so it sends no updates. Register it: "
            f"python manage.py set_webhook --prefix {service}"
        )
    # Telegram drops the certificate unless it is sent again.
    certificate = acm.pem(web.parameters["CertificateArn"]) if info.has_custom_certificate else None
    registration.register(info.url, token, secret, certificate, again=True)
    return f"Telegram sends it to {info.url} from now on."


def store_token(service: Service, token: str) -> str:
    """Store the bot's new token once Telegram knows it; return what happens next. Raise TelegramError."""
    name = bot.name(token)
    bot.store(service, token)
    return (
        f"The token of @{name} is stored. The sites switch to it when Telegram refuses the old one (@BotFather, "
        "/revoke); Telegram sends the updates of the meantime again."
    )
