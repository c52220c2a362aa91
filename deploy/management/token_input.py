"""Read the bot's token from a terminal or a file descriptor, and accept it only if Telegram knows it."""

import os
import sys

from django.core.management.base import CommandError
from rich.console import Console

from botsite.bot.telegram.errors import TelegramError
from deploy.management import confirm
from deploy.service import Service
from deploy.webhook import bot

HELP = (
    "read the bot's token from this file descriptor, e.g. --token-fd 3 3<file (default: ask for it on a terminal, "
    "if none is stored)"
)
_QUESTION = "The bot's token, from @BotFather (not shown; leave empty to do this later): "
_TRIES = 3
_LONGEST = 1000


def take(service: Service, descriptor: int | None, console: Console) -> str:
    """Return a token that Telegram knows; empty if none is given, or if one is stored or there is no terminal.

    Call this before anything is deployed, so that a wrong token costs no time. Raise CommandError.
    """
    if descriptor is not None:
        return _known(read(descriptor), console)
    if not sys.stdin.isatty() or bot.has_token(service):
        return ""
    for left in reversed(range(_TRIES)):
        token = confirm.ask_secret(_QUESTION, "Nothing was changed", "")
        if not token:
            return ""
        try:
            return _known(token, console)
        except CommandError as error:
            if not left:
                raise
            console.print(str(error), markup=False)
    return ""


def read(descriptor: int) -> str:
    """Read a file descriptor to its end and close it; raise CommandError if it is empty."""
    try:
        with os.fdopen(descriptor) as file:
            text = file.read(_LONGEST).strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"--token-fd {descriptor}: {reason}. Pass a file: --token-fd 3 3<token.txt") from error
    if not text:
        raise CommandError(f"--token-fd {descriptor} holds no token. Nothing was changed.")
    return text


def _known(token: str, console: Console) -> str:
    try:
        console.print(f"Telegram knows this token: it is that of @{bot.name(token)}.", markup=False)
    except TelegramError as error:
        raise CommandError(f"The token was not stored. {error} Nothing was changed.") from error
    return token
