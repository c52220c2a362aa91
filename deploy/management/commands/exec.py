"""Open a shell where a role runs."""

import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from botsite import roles
from deploy.management.base import StackCommand
from deploy.operate import shell
from deploy.service import Service
from metrics.health.findings import NotKnownHere


class Command(StackCommand):
    """Run a command, or a shell, in the container of a role's machine. Who did is in the role's log."""

    help = (
        "Open a shell in a role's container, or run a command there: on its machine through Session Manager, on the "
        "local AWS with the environment of the role's process. Who did it and when goes to the log. Needs "
        "ssm:StartSession, logs:CreateLogStream and PutLogEvents, autoscaling:DescribeAutoScalingGroups."
    )
    interrupted = "Interrupted."
    _words: Sequence[str] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Take what follows `--` for the command to run: argparse would mix it up with the options before it."""
        end = argv.index("--") if "--" in argv else len(argv)
        self._words = argv[end + 1 :]
        super().run_from_argv(argv[:end])

    def add_arguments(self, parser: CommandParser) -> None:
        """Add where, and what to run."""
        super().add_arguments(parser)
        parser.usage = "manage.py exec [-h] [--prefix PREFIX] [--machine ID] [--host] role [-- command ...]"
        parser.add_argument("role", type=roles.named, help=f"one of {roles.names()}; the command is a shell by default")
        parser.add_argument("--machine", default="", metavar="ID", help="the machine whose id ends so (default: any)")
        parser.add_argument("--host", action="store_true", help="on the machine itself, outside the container")

    def run(self, service: Service, **options: Any) -> None:
        """Run it, and end as it ends."""
        service.require()
        role, machine, words = options["role"], options["machine"], self._words
        try:
            if settings.LOG_FOLDER:
                code = shell.run_beside(role, machine, words)
            else:
                code = shell.run_on_machine(service, role, machine, words, options["host"])
        except NotKnownHere as error:
            raise CommandError(f"Not known here: {error}.") from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'The command'}: {error.strerror}.") from error
        if code:
            sys.exit(code)
