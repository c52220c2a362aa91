"""Restart a role."""

from typing import Any

from django.core.management.base import CommandParser

from botsite import roles
from deploy.images import rollout
from deploy.management.base import StackCommand, saying
from deploy.management.confirm import confirm
from deploy.service import Service
from metrics import cloudwatch
from metrics.health.words import count


class Command(StackCommand):
    """Replace each machine of a role by a new one of the same image."""

    help = (
        "Restart a role: new machines of the same image take the place of its machines, one after the other, and read "
        "settings and secrets again. Needs autoscaling:StartInstanceRefresh and DescribeAutoScalingGroups."
    )
    interrupted = "Interrupted. What is begun goes on by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the role, and how to ask."""
        super().add_arguments(parser)
        parser.add_argument("role", type=roles.named, help=roles.names())
        parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")
        parser.add_argument("--wait", action="store_true", help="wait until the machines are replaced")

    def run(self, service: Service, **options: Any) -> None:
        """Ask, and start it."""
        service.require()
        console, group = self.console(), rollout.group(service, options["role"])
        found = cloudwatch.groups(group)
        machines = count(len(found[group].instances), "machine") if group in found else "no machine"
        if not options["yes"]:
            question = f"Replace {machines} of {group} with new ones of the same image? [y/N] "
            confirm(console, question, "Nothing was restarted", f"Add --yes to replace {machines} of {group}.")
        if not (started := rollout.start(group, every=True)):
            console.print(f"{group} is still replacing machines since an earlier run: run this again when it is done.")
            return
        console.print(f"{group} is replacing {machines}, in the background.")
        if options["wait"]:
            rollout.follow(group, started, saying(console))
