"""Replace a secret of the running service."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser

from botsite.bot.telegram.errors import TelegramError
from deploy import rotation
from deploy.management import confirm, token_input
from deploy.management.base import StackCommand
from deploy.service import Service


class Command(StackCommand):
    """Store the new value, tell Telegram if it has to know, and print what is left to do."""

    help = "Replace a secret of the running service; no photo is lost or answered twice. No value is printed."
    interrupted = "Interrupted. If you can't tell whether a new value was stored, rotate again: that does no harm."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the secret's name."""
        super().add_arguments(parser)
        parser.add_argument("name", choices=[*rotation.DRAWN, rotation.TOKEN], help="which secret")
        parser.add_argument(
            "--yes", action="store_true", help="rotate again within the hour without asking: the value before ends then"
        )
        parser.add_argument(
            "--token-fd", type=int, metavar="N", help="read the token from this file descriptor instead of asking"
        )

    def run(self, service: Service, **options: Any) -> None:
        """Rotate."""
        name = options["name"]
        try:
            if name == rotation.TOKEN:
                self.stdout.write(rotation.store_token(service, _token(options["token_fd"])))
            else:
                self._agree(service, name, options["yes"])
                self.stdout.write(f"{service}/{name} has a new value. {rotation.rotate(service, name)}")
        except TelegramError as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if name in ("webhook-secret", rotation.TOKEN):
            self.stdout.write(_told(service))

    def _agree(self, service: Service, name: str, sure: bool) -> None:
        """Have somebody agree if the value before the present one, which is still valid, would end."""
        self.stdout.write(f"Drawing a new value of {service}/{name}.")
        if rotation.ends_grace(service, name) and not sure:
            question = (
                "The last rotation was less than an hour ago: what still uses the value before it would be refused. "
                "Rotate again? [y/N] "
            )
            confirm.confirm(self.console(), question, "Nothing was changed", "Add --yes if a value has leaked.")


def _told(service: Service) -> str:
    try:
        return rotation.tell_telegram(service)
    except TelegramError as error:
        raise CommandError(
            f"The new value is stored, but Telegram doesn't have it: {error} Telegram keeps using the previous value, "
            f"which is valid for an hour. Run: python manage.py set_webhook --prefix {service} --again"
        ) from error


def _token(descriptor: int | None) -> str:
    """Return the token, typed without echo or read from the descriptor; never an argument, which others can read."""
    if descriptor is not None:
        return token_input.read(descriptor)
    question, instead = "The bot's token, from @BotFather (not shown): ", "Pass the token with --token-fd N."
    if token := confirm.ask_secret(question, "Nothing was changed", instead):
        return token
    raise CommandError("No token was given, so nothing was changed.")
