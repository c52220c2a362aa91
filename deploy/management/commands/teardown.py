"""Delete the service from AWS."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from deploy import beside, leftovers, stacks, tags
from deploy.management.base import StackCommand, change_table, progress


class Command(StackCommand):
    """Delete every stack, after a question if a person is there to answer it."""

    help = (
        "Delete the service's stacks with every photo, result and prediction in them, its machine images and its "
        "certificate. Leaves other stacks alone."
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
        with progress(console) as report:
            deleted = stacks.delete(prefix, report)
            beside.delete(prefix, report)
        if deleted:
            console.print(f"Deleted: {', '.join(deleted)}")
        elif not changes:
            console.print(f"There is nothing of {prefix} to delete.")
        if left := leftovers.of(tags.of(prefix)):
            lines = "\n".join(f"  {arn}" for arn in left)
            raise CommandError(
                f"This carries the tags of {prefix} and is in none of its stacks; delete it by hand:\n{lines}"
            )
        console.print(f"Nothing is left that carries the tags of {prefix}.")
