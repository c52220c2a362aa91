"""Run a real bot on this machine."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from botsite.bot.telegram.errors import TelegramError
from deploy.local import demo_environment
from deploy.local.poll import session
from deploy.local.poll.asking import Ended
from deploy.local.processes import ChildFailed
from deploy.management import confirm
from deploy.management.base import StackCommand
from deploy.stacks import StackError
from detection.model.weights import WeightsMissing

_HOW_TO_START = (
    "poll needs the token of a bot: in Telegram, talk to @BotFather, send /newbot, then run\n"
    "  TELEGRAM_TOKEN=... python manage.py poll"
)


class Command(BaseCommand):
    help = (
        "Run a real bot on this machine: updates by long polling, the service on a local AWS. Needs the bot's token, "
        "in TELEGRAM_TOKEN or typed at a terminal; no AWS account, no public address. Refuses while the bot has a "
        "webhook, and says how to remove it. Ctrl-C ends it and leaves nothing running."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration of it
    suppressed_base_arguments = StackCommand.suppressed_base_arguments

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--folder",
            type=Path,
            default=demo_environment.ROOT / "var" / "poll",
            help="folder for logs (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        token = settings.TELEGRAM_TOKEN.strip() or _typed()
        try:
            session.run(session.meet(token), options["folder"], Console(highlight=False, soft_wrap=True))
        except (TelegramError, Ended, ChildFailed, StackError, TimeoutError, WeightsMissing) as error:
            raise CommandError(str(error)) from error


def _typed() -> str:
    """Return the token that somebody types; raise CommandError without a terminal, or without a token."""
    question = "The bot's token, from @BotFather (not shown): "
    if sys.stdin.isatty() and (token := confirm.ask_secret(question, "Nothing was started", "")):
        return token
    raise CommandError(_HOW_TO_START)
