"""Take the bot's token from a person or a file descriptor, and hold it to be good only once Telegram knows it."""

import getpass
import os

from django.core.management.base import CommandError
from rich.console import Console

from botsite.bot.errors import TelegramError
from deploy.webhook import bot

HELP = (
    "read the bot's token from this file descriptor, e.g. --token-fd 3 3<file; without it, it is asked for on a "
    "terminal if there is none yet"
)
_QUESTION = "The bot's token, from @BotFather (it is not shown; empty: later): "
_TRIES = 3
_LONGEST = 1000


def take(prefix: str, descriptor: int | None, console: Console) -> str:
    """Return a token that Telegram knows; empty if none is given, or none is needed and nobody is there to ask.

    It is taken before anything is deployed, so that a wrong one costs no time. Raise CommandError.
    """
    if descriptor is not None:
        return _known(read(descriptor), console)
    if not console.is_terminal or bot.has_token(prefix):
        return ""
    for left in reversed(range(_TRIES)):
        token = getpass.getpass(_QUESTION).strip()
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
    """Return what a file descriptor holds, and close it; raise CommandError if that is nothing."""
    try:
        with os.fdopen(descriptor) as file:
            text = file.read(_LONGEST).strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"--token-fd {descriptor}: {reason}. Give it a file: --token-fd 3 3<token.txt") from error
    if not text:
        raise CommandError(f"--token-fd {descriptor} holds no token, and nothing was changed.")
    return text


def _known(token: str, console: Console) -> str:
    try:
        console.print(f"The token of @{bot.name(token)} is one that Telegram knows.", markup=False)
    except TelegramError as error:
        raise CommandError(f"The token is not stored. {error} Nothing was changed.") from error
    return token
