"""Give Telegram the webhook's address."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite import language
from botsite.bot.telegram import client
from botsite.bot.telegram.errors import TelegramError
from deploy.management.base import StackCommand
from deploy.management.confirm import confirm
from deploy.service import Service
from deploy.webhook import bot, guests, profile, registration
from deploy.webhook.bot import Target


class Command(StackCommand):
    """Register the webhook; running it again changes nothing that is already right."""

    help = (
        "Have Telegram send the bot's updates to the load balancer. Telegram is given its certificate if that is "
        "self-signed. Pending updates are kept. Telegram's apps learn the bot's commands and what it is for, in each "
        "language. With --remove, Telegram forgets the webhook."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address, and whether to send it in any case."""
        super().add_arguments(parser)
        parser.add_argument("--url", default="", help="the webhook's address (default: that of the stack)")
        parser.add_argument(
            "--remove",
            action="store_true",
            help="have Telegram forget the webhook, whatever its address; pending updates are kept",
        )
        parser.add_argument("--yes", action="store_true", help="remove it without asking, for scripts")
        parser.add_argument(
            "--again",
            action="store_true",
            help="send it even if Telegram seems to have it: Telegram doesn't tell which secret it has",
        )

    def reach(self) -> None:
        """Leave AWS alone until it is needed: with the token at hand, a webhook can be removed without an account."""
        if not settings.TELEGRAM_TOKEN:
            super().reach()

    def run(self, service: Service, **options: Any) -> None:
        """Register or remove the webhook, and print its state."""
        try:
            if options["remove"]:
                _remove(settings.TELEGRAM_TOKEN or service.token(), options["yes"], self.console())
                return
            target = _target(options["url"], service)
            done = registration.register(target.url, target.token, target.secret, target.certificate, options["again"])
            introduced = profile.publish(target.token, _languages(options["url"], service))
            refusal = guests.refusal(target.token, _storage_chat(options["url"], service))
        except TelegramError as error:
            raise CommandError(str(error)) from error
        console = self.console()
        for change in [*done.changes, *introduced]:
            console.print(f"Changed {change}", markup=False)
        console.print("The webhook was sent to Telegram." if done.sent else "Telegram already has the webhook.")
        for line in registration.state(done.info):
            console.print(line, markup=False)
        if refusal:
            console.print(f"The bot can't write to the chat for guests' pictures: {refusal}", markup=False)


def _languages(url: str, service: Service) -> list[str]:
    return list(language.available()) if url else bot.languages(service)


def _storage_chat(url: str, service: Service) -> int | None:
    if url:
        return settings.STORAGE_CHAT
    chat = service.stack("web").parameters.get("StorageChat", "")
    return int(chat) if chat else None


def _remove(token: str, sure: bool, console: Console) -> None:
    """Remove the webhook once somebody has agreed; raise CommandError if nobody does."""
    there = registration.current(token)
    if not there.url:
        console.print("The bot has no webhook.")
        return
    console.print(*registration.state(there), sep="\n", markup=False)
    if not sure:
        host = urlsplit(there.url).hostname
        question = f"Remove the webhook? The service at {host} gets no more updates. [y/N] "
        instead = f"Updates go to {host}; add --yes to remove the webhook without being asked."
        confirm(console, question, "Nothing was removed", instead)
    registration.remove(there.url, token)
    console.print("The webhook is removed; Telegram keeps pending updates.")


def _target(url: str, service: Service) -> Target:
    if url:
        return Target(url, client.token(), settings.TELEGRAM_WEBHOOK_SECRET)
    return bot.target(service, settings.TELEGRAM_TOKEN, settings.TELEGRAM_WEBHOOK_SECRET)
