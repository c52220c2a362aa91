"""Delete the service from AWS."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite.telegram import TelegramError
from deploy import beside, bot, leftovers, stacks
from deploy.management.base import StackCommand, change_table, progress


class Command(StackCommand):
    """Delete every stack, after a question if a person is there to answer it."""

    help = (
        "Delete the service's stacks with every photo, result and prediction in them, its machine images, certificate "
        "and webhook. Leaves what others made alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan and the consent."""
        super().add_arguments(parser)
        parser.add_argument("--plan", action="store_true", help="print what would be deleted, and delete nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask on a terminal")

    def run(self, **options: Any) -> None:
        """Plan or delete."""
        prefix, console = options["prefix"], self.console()
        changes = [*stacks.deletions(prefix), *beside.deletions(prefix)]
        if options["plan"]:
            console.print(change_table(changes) if changes else f"There is nothing of {prefix} to delete.")
            return
        if changes and not options["yes"] and console.is_terminal:
            console.print(change_table(changes))
            if console.input(f"Type {prefix} to delete this, with all that is stored in it: ") != prefix:
                raise CommandError("Nothing was deleted.")
        _disconnect(prefix, console)
        with progress(console) as report:
            beside.end_prototypes(prefix)
            deleted = stacks.delete(prefix, report)
            beside.delete(prefix, report)
        if deleted:
            console.print(f"Deleted: {', '.join(deleted)}")
        elif not changes:
            console.print(f"There is nothing of {prefix} to delete.")
        if left := leftovers.of(prefix):
            lines = "\n".join(f"  {arn}" for arn in left)
            raise CommandError(
                f"This carries the tags of {prefix} and is in none of its stacks; delete it by hand:\n{lines}"
            )
        console.print(f"Nothing is left that carries the tags of {prefix}.")


def _disconnect(prefix: str, console: Console) -> None:
    """Have Telegram forget the webhook while there is a token to say so; nothing that it answers keeps us."""
    try:
        if bot.disconnect(prefix):
            console.print("Telegram has forgotten the webhook; updates that wait there stay for whoever asks next.")
    except TelegramError as error:
        console.print(f"Telegram keeps the webhook, which leads nowhere from now on: {error}", markup=False)
