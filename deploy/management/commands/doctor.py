"""Find what is wrong with a deployed service, and what to do about it."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError
from django.core.management.base import CommandError, CommandParser
from rich import box
from rich.table import Table
from rich.text import Text

from deploy.doctor import checks
from deploy.doctor.findings import Finding, State
from deploy.management.base import StackCommand
from deploy.service import Service

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red", State.UNKNOWN: "cyan"}


class Command(StackCommand):
    """Run every check; exit code 1 if one failed."""

    help = (
        "Check a deployed service for known failures: each check says what it found and what to do. Needs only read "
        "permissions and changes nothing."
    )
    interrupted = "Interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which checks to run, and the format of the report."""
        super().add_arguments(parser)
        parser.add_argument(
            "--only", action="append", choices=list(checks.CHECKS), metavar="NAME", help="run only this check"
        )
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Run the checks and print what they found."""
        names = options["only"] or checks.CHECKS
        if not checks.OF_ACCOUNT.issuperset(names):
            _require(service)
        findings = checks.run(service, names)
        if options["json"]:
            self.stdout.write(json.dumps([one.as_dict() for one in findings], indent=2))
        else:
            self._print(findings)
        if failed := [one.name for one in findings if one.verdict.state is State.FAILED]:
            raise CommandError(f"Failed: {', '.join(failed)}.")

    def _print(self, findings: Sequence[Finding]) -> None:
        console = self.console()
        if not console.is_terminal:
            for one in findings:
                console.print(f"{one.name:<13} {one.verdict.state:<8} {one.verdict.seen}", markup=False)
                if one.verdict.todo:
                    console.print(f"{'':<22} -> {one.verdict.todo}", markup=False)
            return
        table = Table("check", "", "found", "what to do", box=box.SIMPLE_HEAD, header_style="bold")
        for one in findings:
            state = Text(one.verdict.state, _COLOURS[one.verdict.state])
            table.add_row(one.name, state, Text(one.verdict.seen), Text(one.verdict.todo))
        # Wrapped within its columns, unlike plain lines.
        console.soft_wrap = False
        console.print(table)


def _require(service: Service) -> None:
    """Raise StackError if there is no such service; if AWS refuses to tell, each check says what that means for it."""
    with suppress(ClientError):
        service.require()
