"""The bot's token: from Secrets Manager, or from the environment on a laptop."""

import json
from functools import cache

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from botsite import aws, logs
from botsite.bot.errors import TelegramError


class NoToken(TelegramError):
    """The secret has no value yet, or will have none: `poll` gives the token to its site alone."""


@cache
def current() -> str:
    """Return the token that this process uses: TELEGRAM_TOKEN, or else the stored one, read once."""
    value = settings.TELEGRAM_TOKEN or stored(settings.TELEGRAM_TOKEN_SECRET)
    logs.hide(value)
    return value


def bot_id() -> int:
    """Return the bot's own user id, which its token begins with."""
    return int(current().partition(":")[0])


def stored(secret_id: str) -> str:
    """Return the token from Secrets Manager: the plain value, or TELEGRAM_TOKEN of a JSON object."""
    if not secret_id:
        raise ImproperlyConfigured("Set TELEGRAM_TOKEN_SECRET to the Secrets Manager id of the bot's token.")
    try:
        value: str = aws.client("secretsmanager").get_secret_value(SecretId=secret_id).get("SecretString", "")
    except (ClientError, BotoCoreError) as error:
        raise TelegramError(f"reading secret {secret_id}: {error}", permanent=False) from error
    found = str(json.loads(value)["TELEGRAM_TOKEN"]) if value.lstrip().startswith("{") else value.strip()
    if not found:
        why = "under `poll` only the site has it" if aws.emulated() else "`python manage.py provision` asks for it"
        raise NoToken(f"secret {secret_id} holds no token: {why}", permanent=False)
    return found
