"""Connect the service to its bot: store the token, give Telegram the webhook, and remove it again.

The token is typed or read from a file descriptor, never an argument, which others can read.
"""

import time
from dataclasses import dataclass, field

from botocore.exceptions import ClientError
from django.conf import settings

from botsite import aws, language, logs
from botsite.bot.telegram.errors import TelegramError
from deploy.certificates import acm
from deploy.cfn.cloudformation import Stack, StackError
from deploy.patience import Say
from deploy.service import Service
from deploy.webhook import bot_api, profile, registration
from deploy.webhook.registration import Registered

# A new DNS name takes some minutes to be known everywhere.
_RESOLVED_SECONDS = 10 * 60
_UNRESOLVED = "resolve host"


@dataclass(frozen=True)
class Target:
    """A webhook to register; `certificate` (PEM) is one that Telegram has to be given."""

    url: str
    token: str = field(repr=False)
    secret: str = field(repr=False)
    certificate: bytes | None = None


def name(token: str) -> str:
    """Return the name of the token's bot; raise TelegramError if Telegram doesn't know it."""
    logs.hide(token)
    registration.check_token(token)
    return str(bot_api.ask(token, lambda bot: bot.get_me).username)


def has_token(service: Service) -> bool:
    """Return whether the service has a token."""
    web = service.find("web")
    return bool(web and "TokenSecretName" in web.outputs and _stored_token(web))


def store(service: Service, token: str) -> bool:
    """Store a token; return whether it is a new one."""
    web = service.stack("web")
    if _stored_token(web) == token:
        return False
    aws.client("secretsmanager").put_secret_value(SecretId=web.outputs["TokenSecretName"], SecretString=token)
    return True


def target(service: Service, token: str = "", secret: str = "") -> Target:
    """Return the webhook at the service's load balancer, with the stored secrets where none are given.

    Raise StackError without a certificate, TelegramError without a token.
    """
    web = service.stack("web")
    arn = web.parameters.get("CertificateArn", "")
    if not arn:
        raise StackError(
            f"{web.name} has no certificate, and Telegram only uses HTTPS. Add one: "
            f"python manage.py provision --prefix {service} --self-signed (or --domain)"
        )
    return Target(
        _url(web),
        token or service.token(),
        secret or service.secret("TELEGRAM_WEBHOOK_SECRET"),
        acm.for_telegram(arn),
    )


def connect(service: Service, say: Say) -> Registered:
    """Have Telegram send updates to the load balancer, once its name resolves. Raise TelegramError or StackError."""
    to, deadline, told = target(service), time.monotonic() + _RESOLVED_SECONDS, False
    while True:
        try:
            return registration.register(to.url, to.token, to.secret, to.certificate)
        except TelegramError as error:
            if _UNRESOLVED not in str(error) or time.monotonic() > deadline:
                raise
        if not told:
            say(f"Telegram can't resolve the host of {to.url} yet; waiting for DNS")
            told = True
        aws.pause(15)


def introduce(service: Service) -> list[str]:
    """Have Telegram's apps show the bot's commands and what it is for; return what was changed. Raise TelegramError."""
    return profile.publish(target(service).token, languages(service))


def languages(service: Service) -> list[str]:
    """Return the languages that the service's bot speaks."""
    chosen = service.stack("web").parameters.get("BotLanguages", "")
    return chosen.split(",") if chosen else list(language.NAMES)


def disconnect(service: Service) -> bool:
    """Have Telegram forget the webhook if it is this service's; return whether it was. Raise TelegramError."""
    web = service.find("web")
    if web is None or "TokenSecretName" not in web.outputs:
        return False
    token = _stored_token(web)
    return bool(token) and registration.remove(_url(web), token)


def _url(web: Stack) -> str:
    return settings.TELEGRAM_WEBHOOK_URL or f"https://{web.outputs['WebhookHost']}{registration.PATH}"


def _stored_token(web: Stack) -> str:
    """Return what the secret holds, empty if it has no value yet."""
    try:
        found = aws.client("secretsmanager").get_secret_value(SecretId=web.outputs["TokenSecretName"])
    except ClientError as error:
        # The template creates the secret without a value.
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return ""
    return str(found.get("SecretString", "")).strip()
