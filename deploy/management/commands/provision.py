"""Make the service's place on AWS, or bring it up to date."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from deploy import bake, bundle, costs, prices, recipe, stacks
from deploy.cfn import Report
from deploy.machine_images import NoImage
from deploy.management.base import StackCommand, change_table, cost_table, progress
from deploy.recipe import Recipe
from deploy.stacks import Provisioned
from deploy.template import Template


class Command(StackCommand):
    """Deploy every stack through a change set; `--plan` shows the changes instead."""

    help = (
        "Create or update the service's CloudFormation stacks; bake the machine images that there are none of yet. "
        "Running it again changes nothing that is right."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the plan and the templates' parameters."""
        super().add_arguments(parser)
        parser.add_argument(
            "--plan", action="store_true", help="print what would change, and what it costs; change nothing"
        )
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
            _estimate(console, stacks.planned(prefix, values))
            return
        with progress(console) as report:
            done = _deploy(prefix, values, report, console)
        for name, what in done.stacks.items():
            console.print(f"{name}: {what}")
        for line in done.fixups:
            console.print(f"set afterwards, because the emulator's CloudFormation drops it: {line}")
        console.print("The live settings are as the templates say.")


def _deploy(prefix: str, values: dict[str, str], report: Report, console: Console) -> Provisioned:
    """Deploy every stack; the image of a role that has none is baked when it is first needed."""
    baked: set[str] = set()
    while True:
        try:
            return stacks.provision(prefix, values, report)
        except NoImage as missing:
            role = missing.role
            if role in baked:
                raise
        baked.add(role)
        console.print(f"There is no image of {role} yet. Baking one, which takes about 10 minutes.")

        def say(text: str, role: str = role) -> None:
            console.print(f"{role}: {text}", markup=False)

        bake.bake(prefix, recipe.place(prefix), Recipe(role, bundle.version()), say)


def _estimate(console: Console, planned: list[tuple[Template, Mapping[str, str]]]) -> None:
    """Print what the service costs."""
    made = [costs.resources(template, names) for template, names in planned]
    names = {key: value for _, given in planned for key, value in given.items()}
    worker_type, kept_days = names["WorkerType"], float(names["KeptDays"])
    console.print(cost_table("a month without photos", costs.idle_month(made)))
    console.print(cost_table("a thousand photos", costs.thousand_photos(worker_type, kept_days)))
    console.print(f"List prices of {prices.REGION}, {prices.AS_OF}, before taxes and free tiers.")
    for one in costs.unknown(made, worker_type):
        console.print(f"There is no price for {one} in deploy/prices.py: its hours are not in these sums.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--parameter {text!r} is not NAME=VALUE.")
    return name, value
