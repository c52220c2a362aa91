"""Make the service's place on AWS, or bring it up to date."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from deploy import stacks
from deploy.management.base import StackCommand, change_table, progress


class Command(StackCommand):
    """Deploy every stack through a change set; `--plan` shows the changes instead."""

    help = "Create or update the service's CloudFormation stacks. Running it again changes nothing that is right."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan and the templates' parameters."""
        super().add_arguments(parser)
        parser.add_argument("--plan", action="store_true", help="print what would change, and change nothing")
        parser.add_argument(
            "--parameter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="set a parameter of a template, e.g. KeptDays=60 (days); it is kept until it is set again",
        )

    def run(self, **options: Any) -> None:
        """Plan or deploy."""
        prefix, values = options["prefix"], dict(_pair(text) for text in options["parameter"])
        console = self.console()
        if options["plan"]:
            changes = stacks.plan(prefix, values)
            console.print(change_table(changes) if changes else f"Nothing would change in the stacks of {prefix}.")
            return
        with progress(console) as report:
            done = stacks.provision(prefix, values, report)
        for name, what in done.stacks.items():
            console.print(f"{name}: {what}")
        for line in done.fixups:
            console.print(f"set afterwards, because the emulator's CloudFormation drops it: {line}")
        console.print("The live settings are as the templates say.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--parameter {text!r} is not NAME=VALUE.")
    return name, value
