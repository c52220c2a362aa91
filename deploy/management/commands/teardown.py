"""Delete the service from AWS."""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite.bot.errors import TelegramError
from deploy import beside, leftovers, stacks, stored
from deploy.cfn.cloudformation import Change
from deploy.management.base import StackCommand, change_table, progress
from deploy.webhook import bot


class Command(StackCommand):
    """Delete every stack, once a person has confirmed it."""

    help = (
        "Delete the service's stacks with every photo, result and prediction in them, its machine images, certificate "
        "and webhook. Leaves what others made alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan and the consent."""
        super().add_arguments(parser)
        parser.add_argument("--plan", action="store_true", help="print what would be deleted, and delete nothing")
        parser.add_argument("--yes", action="store_true", help="delete without asking, for scripts")

    def run(self, **options: Any) -> None:
        """Plan or delete."""
        prefix, console = options["prefix"], self.console()
        changes = [*stacks.deletions(prefix), *beside.deletions(prefix)]
        if options["plan"]:
            console.print(change_table(changes) if changes else f"Nothing to delete for prefix {prefix}.")
            return
        if changes and not options["yes"]:
            _confirm(prefix, changes, console)
        _disconnect(prefix, console)
        with progress(console) as report:
            beside.end_prototypes(prefix)
            deleted = stacks.delete(prefix, report)
            beside.delete(prefix, report)
        if deleted:
            console.print(f"Deleted: {', '.join(deleted)}")
        elif not changes:
            console.print(f"Nothing to delete for prefix {prefix}.")
        if left := leftovers.of(prefix):
            lines = "\n".join(f"  {arn}" for arn in left)
            raise CommandError(
                f"These carry the tags of {prefix} but are in none of its stacks; delete them by hand:\n{lines}"
            )
        console.print(f"Nothing tagged {prefix} is left.")


def _confirm(prefix: str, changes: list[Change], console: Console) -> None:
    """Show what will be deleted, and have a person type the prefix. Raise CommandError unless they do."""
    if not sys.stdin.isatty():
        raise CommandError(
            f"Nothing was deleted: there is no terminal to ask on. `teardown --prefix {prefix} --plan` lists what "
            "would be deleted; add --yes to delete it without being asked."
        )
    console.print(change_table(changes))
    console.print("\n".join(stored.lines(prefix)), markup=False)
    if console.input(f"Type {prefix} to delete all of this: ") != prefix:
        raise CommandError("Nothing was deleted.")


def _disconnect(prefix: str, console: Console) -> None:
    """Remove the webhook while the stack still holds the token; a failure stops nothing."""
    try:
        if bot.disconnect(prefix):
            console.print("The webhook is removed; Telegram keeps pending updates for the next one.")
    except TelegramError as error:
        console.print(f"Telegram still has the webhook, which now leads nowhere: {error}", markup=False)
