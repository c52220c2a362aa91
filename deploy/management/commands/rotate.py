"""Give a secret of a running service a new value."""

import getpass
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser

from botsite.bot.errors import TelegramError
from deploy import rotation
from deploy.management.base import StackCommand
from deploy.webhook import token_input


class Command(StackCommand):
    """Store the new value, tell Telegram where it has to know, and say what is left to do."""

    help = (
        "Give a secret of the running service a new value, without a photo lost or answered twice. No value is printed."
    )
    interrupted = "Interrupted. If it is not clear whether a new value was stored, rotate again: that does no harm."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the secret's name."""
        super().add_arguments(parser)
        parser.add_argument("name", choices=[*rotation.DRAWN, rotation.TOKEN], help="which secret")
        parser.add_argument(
            "--token-fd", type=int, metavar="N", help="read the token from this file descriptor, instead of asking"
        )

    def run(self, **options: Any) -> None:
        """Rotate."""
        prefix, name = options["prefix"], options["name"]
        try:
            if name == rotation.TOKEN:
                self.stdout.write(rotation.store_token(prefix, _token(options["token_fd"])))
            else:
                self.stdout.write(f"{prefix}/{name} has a new value. {rotation.rotate(prefix, name)}")
        except TelegramError as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if name in ("webhook-secret", rotation.TOKEN):
            self.stdout.write(_told(prefix))


def _told(prefix: str) -> str:
    try:
        return rotation.tell_telegram(prefix)
    except TelegramError as error:
        raise CommandError(
            f"The new value is stored, but Telegram was not told: {error} It goes on with the one before, which is "
            f"good for an hour. Run: python manage.py set_webhook --prefix {prefix} --again"
        ) from error


def _token(descriptor: int | None) -> str:
    """Return what was typed without echo, or what the descriptor holds; never an argument, which others can read."""
    if descriptor is not None:
        return token_input.read(descriptor)
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to ask on: give the token by --token-fd N.")
    if token := getpass.getpass("The bot's token, as @BotFather gave it: ").strip():
        return token
    raise CommandError("No token was given, so nothing was changed.")
