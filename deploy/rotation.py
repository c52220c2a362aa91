"""Give a secret a new value while the service runs. What was before stays good until everybody has the new one."""

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from botsite import aws, logs, secret_store
from botsite.bot import bot_token
from deploy import stacks
from deploy.certificates import acm
from deploy.webhook import bot, bot_api, registration

_ALPHABET = string.ascii_letters + string.digits
_BY_ITSELF = (
    "Sites and workers take it up by themselves, within ten minutes or with the first call that needs it; the one "
    "before is good for an hour. To have it refused at once, rotate again and start the sites anew."
)
_SITES_ANEW = (
    "A site reads it when it starts. Start the sites anew, one after the other: aws autoscaling start-instance-refresh "
    "--auto-scaling-group-name {prefix}-polybot --preferences MinHealthyPercentage=100,MaxHealthyPercentage=200"
)


@dataclass(frozen=True)
class Secret:
    """A secret of the service: the setting it holds, how long a new value is, and who learns of it how.

    `before` is the setting that keeps the value before, for what it made: with `first`, the very first one.
    """

    setting: str
    length: int
    then: str
    before: str = ""
    first: bool = False


DRAWN: Mapping[str, Secret] = {
    "results-key": Secret("RESULTS_KEY", 48, _BY_ITSELF, before="PREDICTION_ID_KEY", first=True),
    "webhook-secret": Secret("TELEGRAM_WEBHOOK_SECRET", 48, _BY_ITSELF),
    "django-key": Secret("DJANGO_SECRET_KEY", 64, _SITES_ANEW, before="DJANGO_SECRET_KEY_FALLBACKS"),
    "admin-password": Secret("ADMIN_PASSWORD", 24, _SITES_ANEW),
}
TOKEN = "telegram-token"  # noqa: S105  # the name of the secret, not what is in it


def rotate(prefix: str, name: str) -> str:
    """Store a new value of a secret that is drawn here; return what happens next, as a sentence."""
    stacks.existing(prefix, "web")
    secret_id, kind = f"{prefix}/{name}", DRAWN[name]
    held = secret_store.read([secret_id], settings.AWS_REGION, settings.AWS_ENDPOINT_URL)
    new = held | {kind.setting: "".join(secrets.choice(_ALPHABET) for _ in range(kind.length))}
    if kind.before and not (kind.first and kind.before in held):
        new[kind.before] = held[kind.setting]
    for value in new.values():
        logs.hide(value)
    aws.client("secretsmanager").put_secret_value(SecretId=secret_id, SecretString=json.dumps(new))
    return kind.then.format(prefix=prefix)


def tell_telegram(prefix: str) -> str:
    """Give Telegram the webhook's secret as it is stored now, at the address it has; return what was done.

    Raise TelegramError; until it has the new secret, updates come with the one before.
    """
    web = stacks.existing(prefix, "web")
    names = web.outputs["ServiceSecrets"].split(",")
    secret = secret_store.read(names, settings.AWS_REGION, settings.AWS_ENDPOINT_URL)["TELEGRAM_WEBHOOK_SECRET"]
    token = bot_token.stored(web.outputs["TokenSecretName"])
    info = bot_api.ask(token, lambda bot: bot.get_webhook_info)
    if not info.url:
        # Another bot has none, and perhaps one whose token was revoked.
        return (
            "Telegram has no webhook of this bot, so it sends no updates. Give it one: "
            f"python manage.py set_webhook --prefix {prefix}"
        )
    # It forgets the certificate when it is not given again.
    certificate = acm.pem(web.parameters["CertificateArn"]) if info.has_custom_certificate else None
    registration.register(info.url, token, secret, certificate, again=True)
    return f"Telegram sends it to {info.url} from now on."


def store_token(prefix: str, token: str) -> str:
    """Store the bot's new token once Telegram knows it; return what happens next. Raise TelegramError."""
    name = bot.name(token)
    bot.store(prefix, token)
    return (
        f"The token of @{name} is stored. Sites take it up when Telegram refuses the old one (@BotFather, /revoke); "
        "updates that come meanwhile are sent again."
    )
