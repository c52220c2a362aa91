"""Tell Telegram where the bot's updates go."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from botsite.bot import bot_token
from botsite.bot.errors import TelegramError
from deploy.management.base import StackCommand
from deploy.webhook import bot, registration
from deploy.webhook.bot import Target


class Command(StackCommand):
    """Register the webhook, once for a deployment; running it again changes nothing that is right."""

    help = (
        "Have Telegram send the bot's updates to the load balancer, with our certificate if it is self-signed. What "
        "waits to be delivered stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address, and the wish to send it anew."""
        super().add_arguments(parser)
        parser.add_argument("--url", default="", help="the webhook's address; default: that of the stack")
        parser.add_argument(
            "--again",
            action="store_true",
            help="send it even if Telegram has it already: after a rotation of the secret, which it does not tell",
        )

    def run(self, **options: Any) -> None:
        """Register, and say what Telegram says of it."""
        try:
            target = _target(options["url"], options["prefix"])
            done = registration.register(target.url, target.token, target.secret, target.certificate, options["again"])
        except TelegramError as error:
            raise CommandError(str(error)) from error
        console = self.console()
        for change in done.changes:
            console.print(f"Telegram had {change}.", markup=False)
        console.print("Sent to Telegram." if done.sent else "Telegram has it as it should be: nothing was sent.")
        for line in registration.state(done.info):
            console.print(line, markup=False)


def _target(url: str, prefix: str) -> Target:
    if url:
        return Target(url, bot_token.current(), settings.TELEGRAM_WEBHOOK_SECRET)
    return bot.target(prefix, settings.TELEGRAM_TOKEN, settings.TELEGRAM_WEBHOOK_SECRET)
