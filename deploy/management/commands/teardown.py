"""Delete the service from AWS."""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite.bot.telegram.errors import TelegramError
from deploy import teardown
from deploy.cfn.cloudformation import Change
from deploy.management import before, turn
from deploy.management.base import StackCommand, change_table, progress
from deploy.management.confirm import confirm
from deploy.service import Service
from deploy.webhook import bot


class Command(StackCommand):
    """Delete the whole service, once somebody has confirmed it."""

    help = (
        "Delete the service: its stacks with every photo, result and prediction, restored copies of these, its machine "
        "images, certificate and webhook. Leaves alone what others made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan and the confirmation."""
        super().add_arguments(parser)
        parser.add_argument("--plan", action="store_true", help="print what would be deleted, and delete nothing")
        parser.add_argument(
            "--records",
            action="store_true",
            help="also delete the DNS record by which AWS validates the certificate; one in another region may need it",
        )
        turn.add_yes(parser, "delete without asking, for scripts")

    def run(self, service: Service, **options: Any) -> None:
        """Plan or delete."""
        console = self.console()
        before.tell(console)
        if options["plan"]:
            changes = teardown.plan(service, options["records"])
            console.print(change_table(changes) if changes else f"Nothing to delete for prefix {service}.")
            _print_kept(console, service, options["records"])
            return
        with turn.taken(console, service, "teardown", options["yes"]):
            self._delete(service, console, options["yes"], options["records"])

    def _delete(self, service: Service, console: Console, sure: bool, records: bool) -> None:
        """Ask, delete, and look for what is left."""
        changes = teardown.plan(service, records)
        _print_kept(console, service, records)
        if changes and not sure:
            _confirm(service, changes, console)
        _disconnect(service, console)
        with progress(console) as report:
            deleted = teardown.delete(service, report, records)
        if deleted:
            console.print(f"Deleted: {', '.join(deleted)}")
        elif not changes:
            console.print(f"Nothing to delete for prefix {service}.")
        if left := teardown.leftovers(service):
            lines = "\n".join(f"  {arn}" for arn in left)
            raise CommandError(
                f"These carry the tags of {service} but belong to none of its stacks; delete them by hand:\n{lines}"
            )
        console.print(f"Nothing tagged {service} is left.")


def _print_kept(console: Console, service: Service, records: bool) -> None:
    """Name the DNS records that stay: once the certificate is gone, nothing tells that they were ours."""
    for name in () if records else teardown.records(service):
        console.print(
            f"The DNS record {name} stays, as certificates elsewhere may be validated by it: --records deletes it.",
            markup=False,
        )


def _confirm(service: Service, changes: list[Change], console: Console) -> None:
    """Show what will be deleted and have the prefix typed; raise CommandError if it isn't."""
    if sys.stdin.isatty():
        console.print(change_table(changes))
        console.print("\n".join(teardown.stored(service)), markup=False)
    instead = (
        f"`teardown --prefix {service} --plan` lists what would be deleted; add --yes to delete it without being asked."
    )
    question = f"Type {service} to delete all of this: "
    confirm(console, question, "Nothing was deleted", instead, typed=service.prefix)


def _disconnect(service: Service, console: Console) -> None:
    """Remove the webhook while the stack still holds the token; carry on if that fails."""
    try:
        if bot.disconnect(service):
            console.print("The webhook is removed; Telegram keeps pending updates for the next one.")
    except TelegramError as error:
        console.print(f"Telegram still has the webhook, which now leads nowhere: {error}", markup=False)
