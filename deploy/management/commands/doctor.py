"""Find what is wrong with a deployed service, and what to do about it."""

import json
from typing import Any

from botocore.exceptions import ClientError
from django.core.management.base import CommandError, CommandParser

from botsite import aws
from deploy import background, stacks
from deploy.doctor import checks
from deploy.management import findings as report
from deploy.management.base import StackCommand, progress
from deploy.service import Service
from metrics.health.findings import Finding

# For whether there is such a service, which is asked first.
_PATIENCE_SECONDS = 5.0


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
        parser.add_argument(
            "--drift",
            action="store_true",
            help="also have CloudFormation compare the live settings with the templates, which takes AWS some minutes",
        )
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Run the checks and print what they found."""
        names = options["only"] or checks.CHECKS
        if not checks.OF_ACCOUNT.issuperset(names):
            self._require(service)
        findings = checks.run(service, names)
        if options["drift"]:
            findings.append(self._find_drift(service, options["json"]))
        if options["json"]:
            self.stdout.write(json.dumps([one.as_dict() for one in findings], indent=2))
        else:
            report.print_findings(self.console(), findings)
        if failed := report.failed(findings):
            raise CommandError(f"Failed: {failed}.")

    def _find_drift(self, service: Service, silent: bool) -> Finding[Any]:
        if silent:
            return checks.find_drift(service, stacks.silent)
        with progress(self.console()) as report:
            return checks.find_drift(service, report)

    def _require(self, service: Service) -> None:
        """Raise StackError if there is no such service; if AWS doesn't tell, each check says what that means for it."""
        try:
            background.start(service.require).result(_PATIENCE_SECONDS)
        except ClientError:
            pass
        except TimeoutError:
            self.stderr.write(
                f"{aws.place()} does not answer within {_PATIENCE_SECONDS:g} s. What can be checked without it takes "
                f"{checks.TIMEOUT_SECONDS:g} s at most."
            )
