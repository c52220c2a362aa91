"""Give Telegram the webhook's address."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from botsite.bot import bot_token
from botsite.bot.errors import TelegramError
from deploy.management.base import StackCommand
from deploy.service import Service
from deploy.webhook import bot, guests, profile, registration
from deploy.webhook.bot import Target


class Command(StackCommand):
    """Register the webhook; running it again changes nothing that is already right."""

    help = (
        "Have Telegram send the bot's updates to the load balancer, and trust its certificate if it is self-signed. "
        "Pending updates are kept. Telegram's apps learn the bot's commands and what it is for, in each language."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address, and whether to send it in any case."""
        super().add_arguments(parser)
        parser.add_argument("--url", default="", help="the webhook's address (default: that of the stack)")
        parser.add_argument(
            "--again",
            action="store_true",
            help="send it even if Telegram seems to have it: Telegram doesn't tell which secret it has",
        )

    def run(self, service: Service, **options: Any) -> None:
        """Register, and print the webhook's state."""
        try:
            target = _target(options["url"], service)
            done = registration.register(target.url, target.token, target.secret, target.certificate, options["again"])
            introduced = profile.publish(target.token)
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


def _storage_chat(url: str, service: Service) -> int | None:
    if url:
        return settings.STORAGE_CHAT
    chat = service.stack("web").parameters.get("StorageChat", "")
    return int(chat) if chat else None


def _target(url: str, service: Service) -> Target:
    if url:
        return Target(url, bot_token.current(), settings.TELEGRAM_WEBHOOK_SECRET)
    return bot.target(service, settings.TELEGRAM_TOKEN, settings.TELEGRAM_WEBHOOK_SECRET)
