"""Show the state of the service on one screen."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from django.core.management.base import CommandParser
from rich.console import Console
from rich.text import Text

from botsite import aws
from deploy import background
from deploy.management.base import StackCommand
from deploy.operate import readings, status
from deploy.operate.seen import Mark, Seen
from deploy.service import Service

_COLOURS = {Mark.OK: "default", Mark.NOTE: "yellow", Mark.BAD: "bold red", Mark.UNKNOWN: "cyan"}
_SIGNS = {Mark.OK: " ", Mark.NOTE: "~", Mark.BAD: "!", Mark.UNKNOWN: "?"}


class Command(StackCommand):
    """Print each part with its lines: `!` is bad, `~` worth a look, `?` not known."""

    help = (
        "Show the service on one screen: stacks, machines, jobs, photos of the last hour, alarms, certificate, webhook "
        "and cost. `!` is bad, `~` worth a look, `?` not known. Needs only read permissions."
    )
    interrupted = "Interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the format."""
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Read everything, and print it."""
        exists, deadline = background.start(service.require), time.monotonic() + readings.SECONDS
        found, at = status.read(service), datetime.now(UTC)
        # Neither silence nor a missing permission to list the stacks says anything about the rest.
        with suppress(ClientError, TimeoutError):
            exists.result(max(0.0, deadline - time.monotonic()))
        if options["json"]:
            data = {name.replace(" ", "_"): part.data for name, part in found.items()}
            whole = {"prefix": service.prefix, "place": aws.place(), "at": at.isoformat(timespec="seconds"), **data}
            self.stdout.write(json.dumps(whole, indent=2, default=str))
            return
        console = self.console()
        console.print(f"{service}, {aws.place()}, {at:%Y-%m-%d %H:%M:%S} UTC", style="bold", markup=False)
        _print(console, found)


def _print(console: Console, found: Mapping[str, Seen]) -> None:
    for name, part in found.items():
        for number, line in enumerate(part.lines):
            start = f"{_SIGNS[line.mark]} {name if number == 0 else '':<12} "
            console.print(Text(start, "bold").append(line.text, _COLOURS[line.mark]))
