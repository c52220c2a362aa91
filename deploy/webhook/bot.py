"""Give the service its bot: the token into its secret, the load balancer's address to Telegram; and take it away.

The token comes from a person's hands or from a file descriptor, never from an argument, which others can read.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, logs, secret_store
from botsite.bot import api
from botsite.bot.api import TelegramError
from deploy import stacks
from deploy.certificates import acm
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Stack, StackError
from deploy.webhook import bot_api, registration
from deploy.webhook.registration import Registered

# A name that is new in DNS takes some minutes to be known everywhere.
_RESOLVED_SECONDS = 10 * 60
_UNRESOLVED = "resolve host"


@dataclass(frozen=True)
class Target:
    """What to register, and by which secrets; the certificate (PEM) is one that Telegram has to be given."""

    url: str
    token: str = field(repr=False)
    secret: str = field(repr=False)
    certificate: bytes | None = None


def name(token: str) -> str:
    """Return the name of the bot whose token this is; raise TelegramError if it is nobody's."""
    logs.hide(token)
    registration.check_token(token)
    return str(bot_api.ask(token, lambda bot: bot.get_me).username)


def has_token(prefix: str) -> bool:
    """Return whether the service has a token."""
    web = cloudformation.describe(stacks.name(prefix, "web"))
    return bool(web and "TokenSecretName" in web.outputs and _stored_token(web))


def store(prefix: str, token: str) -> bool:
    """Store a token; return whether it was another before, or none."""
    web = stacks.existing(prefix, "web")
    if _stored_token(web) == token:
        return False
    aws.client("secretsmanager").put_secret_value(SecretId=web.outputs["TokenSecretName"], SecretString=token)
    return True


def target(prefix: str, token: str = "", secret: str = "") -> Target:
    """Return the load balancer of a stack, and its secrets where none are given.

    Raise StackError without a certificate, TelegramError without a token.
    """
    web = stacks.existing(prefix, "web")
    arn = web.parameters.get("CertificateArn", "")
    if not arn:
        raise StackError(
            f"{web.name} has no certificate, and Telegram calls by HTTPS alone. Give it one: "
            f"python manage.py provision --prefix {prefix} --self-signed (or --domain)"
        )
    return Target(
        _url(web),
        token or api.stored_token(web.outputs["TokenSecretName"]),
        secret or _stored_secret(web.outputs["ServiceSecrets"]),
        acm.for_telegram(arn),
    )


def connect(prefix: str, say: Callable[[str], None]) -> Registered:
    """Have Telegram send updates to the load balancer, once it knows its name. Raise TelegramError, StackError."""
    to, deadline, told = target(prefix), time.monotonic() + _RESOLVED_SECONDS, False
    while True:
        try:
            return registration.register(to.url, to.token, to.secret, to.certificate)
        except TelegramError as error:
            if _UNRESOLVED not in str(error) or time.monotonic() > deadline:
                raise
        if not told:
            say(f"Telegram does not find the host of {to.url} yet: waiting for its name to be known")
            told = True
        time.sleep(0.1 if settings.AWS_ENDPOINT_URL else 15)


def disconnect(prefix: str) -> bool:
    """Have Telegram forget the webhook, if it is this service's; return whether it was. Raise TelegramError."""
    web = cloudformation.describe(stacks.name(prefix, "web"))
    if web is None or "TokenSecretName" not in web.outputs:
        return False
    token = _stored_token(web)
    return bool(token) and registration.remove(_url(web), token)


def _url(web: Stack) -> str:
    return settings.TELEGRAM_WEBHOOK_URL or f"https://{web.outputs['WebhookHost']}{registration.PATH}"


def _stored_token(web: Stack) -> str:
    """Return what the secret holds; empty if that is nothing yet."""
    try:
        found = aws.client("secretsmanager").get_secret_value(SecretId=web.outputs["TokenSecretName"])
    except ClientError as error:
        # A secret that the template made has no value until it is given one.
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return ""
    return str(found.get("SecretString", "")).strip()


def _stored_secret(names: str) -> str:
    try:
        found = secret_store.read(names.split(","), settings.AWS_REGION, settings.AWS_ENDPOINT_URL)
    except ImproperlyConfigured as error:
        raise StackError(str(error)) from error
    return found.get("TELEGRAM_WEBHOOK_SECRET", "")
