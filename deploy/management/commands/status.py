"""Show the state of the service on one screen."""

import json
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.text import Text

from botsite import aws
from deploy import background
from deploy.management.base import StackCommand
from deploy.operate import status
from deploy.service import Service
from metrics.health.findings import Finding, Health

# Between two screens of --watch.
_WATCH_SECONDS = 5
_COLOURS = {Health.OK: "default", Health.WARNING: "yellow", Health.FAILED: "bold red", Health.UNKNOWN: "cyan"}
_SIGNS = {Health.OK: " ", Health.WARNING: "~", Health.FAILED: "!", Health.UNKNOWN: "?"}


class Command(StackCommand):
    """Print each part with its lines: `!` is bad, `~` worth a look, `?` not known."""

    help = (
        "Show the service on one screen: stacks, machines, jobs, photos of the last hour, alarms, certificate, webhook "
        "and cost. `!` is bad, `~` worth a look, `?` not known. Ends with 1 if anything is bad or not known; what a "
        "local AWS can't tell doesn't count. Needs only read permissions."
    )
    tells_where = False
    interrupted = "Interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the format."""
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print it as JSON")
        parser.add_argument("--watch", action="store_true", help="print it again and again, until Ctrl-C")

    def run(self, service: Service, **options: Any) -> None:
        """Read everything, and print it."""
        while options["watch"]:
            with suppress(CommandError):
                self._show(service, options["json"], watched=True)
            self.stdout.flush()
            time.sleep(_WATCH_SECONDS)
        self._show(service, options["json"])

    def _show(self, service: Service, as_json: bool, watched: bool = False) -> None:
        exists, deadline = background.start(service.require), time.monotonic() + status.SECONDS
        found, at = status.read_status(service), datetime.now(UTC)
        _raise_if_missing(exists, max(0.0, deadline - time.monotonic()), found)
        if as_json:
            data = {name.replace(" ", "_"): _data(part) for name, part in found.items()}
            whole = {"prefix": service.prefix, "place": aws.place(), "at": at.isoformat(timespec="seconds"), **data}
            self.stdout.write(json.dumps(whole, indent=2, default=str))
        else:
            console = self.console()
            if watched:
                console.clear()
            console.print(f"{service}, {aws.place()}, {at:%Y-%m-%d %H:%M:%S} UTC", style="bold", markup=False)
            _print(console, found)
        if trouble := _trouble(found):
            raise CommandError(trouble)


def _raise_if_missing(exists: Future[None], seconds: float, found: Mapping[str, Finding[Any]]) -> None:
    """Raise StackError if there is no such service, and what botocore raises if nothing at all is known."""
    try:
        exists.result(seconds)
    except (ClientError, BotoCoreError, TimeoutError) as error:
        # That CloudFormation doesn't answer tells nothing about the rest, if there is a rest.
        if isinstance(error, BotoCoreError) and not any(part.known for part in found.values()):
            raise


def _data(part: Finding[Any]) -> Any:
    return part.data if part.known else {"not_known": part.seen}


def _print(console: Console, found: Mapping[str, Finding[Any]]) -> None:
    late = [name for name, part in found.items() if background.LATE in part.seen]
    if len(late) > 1:
        summary = f"? AWS does not answer within {status.SECONDS:g} s: nothing is known of {', '.join(late)}"
        console.print(Text(summary, _COLOURS[Health.UNKNOWN]))
    for name, part in found.items():
        if len(late) > 1 and name in late:
            continue
        for number, line in enumerate([part, *part.more]):
            start = f"{_SIGNS[line.state]} {name if number == 0 else '':<12} "
            console.print(Text(start, "bold").append(line.text, _COLOURS[line.state]))


def _trouble(found: Mapping[str, Finding[Any]]) -> str:
    """Return the parts with something bad and those with something that is not known, empty if all is well."""
    lines = {name: [part, *part.more] for name, part in found.items()}
    bad = [name for name, parts in lines.items() if any(one.state is Health.FAILED for one in parts)]
    unknown = [name for name, parts in lines.items() if any(one.unanswered for one in parts)]
    said = (("Bad", bad), ("Not known", unknown))
    return " ".join(f"{word}: {', '.join(names)}." for word, names in said if names)
