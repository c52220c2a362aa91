"""Show what the roles log."""

import json
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings
from django.core.management.base import CommandParser
from rich.console import Console
from rich.text import Text

from botsite import roles
from deploy.management import arguments
from deploy.management.base import StackCommand
from deploy.operate import log_lines
from deploy.operate.log_lines import LEVELS, LogLine, WantedLines
from deploy.operate.logs import roles_logs
from deploy.service import Service

_COLOURS = {"debug": "dim", "warning": "yellow", "error": "bold red", "critical": "bold red", "": "dim"}
_OF_ROLE = {"polybot": "green", "yolo5": "blue", "metricStreamer": "magenta"}


class Command(StackCommand):
    """Print one line an event, those of all machines by their time."""

    help = (
        "Show what the roles log, a line an event: from CloudWatch Logs, or where the local AWS runs from its files. "
        "Ctrl-C ends -f. Needs logs:FilterLogEvents."
    )
    interrupted = "Interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which lines to show, and how."""
        super().add_arguments(parser)
        say = parser.add_argument
        say("role", nargs="?", type=roles.named, help=f"only of this role: {roles.names()} (default: all)")
        say("-f", "--follow", action="store_true", help="go on with what comes")
        say(
            "--since",
            type=arguments.time,
            default="10m",
            help="10m, 2h, 1d or a time in ISO 8601 (default: %(default)s)",
        )
        say("--prediction", type=_id, metavar="ID", help="only lines about this photo")
        say("--level", choices=LEVELS, metavar="LEVEL", help=f"only lines of this level or above: {', '.join(LEVELS)}")
        say("--all", action="store_true", help="also metrics that repeat the one before, and doctor's own probes")
        say("--json", action="store_true", help="print each line as a JSON object")

    def run(self, service: Service, **options: Any) -> None:
        """Print the lines, and with -f go on until Ctrl-C."""
        chosen = (options["role"],) if options["role"] else roles.ROLES
        wanted = WantedLines(chosen, options["since"], options["prediction"] or "", options["level"] or "")
        show = self._json if options["json"] else self._printer()
        shown = 0
        try:
            entries = _entries(service, wanted, options["follow"])
            for entry in entries if options["all"] or options["prediction"] else log_lines.worth_reading(entries):
                show(entry)
                shown += 1
        except KeyboardInterrupt:
            if not options["follow"]:
                raise
            # Ctrl-C is the normal way to end `logs -f`.
            sys.exit(130)
        if not shown:
            nothing = f"No such lines since {wanted.since:%Y-%m-%d %H:%M:%S} UTC; --since 1d looks further back."
            # Not in the red of an error, which it isn't.
            self.stderr.write(nothing, str)

    def _json(self, entry: LogLine) -> None:
        self.stdout.write(json.dumps(log_lines.as_dict(entry), default=str), ending="\n")
        self.stdout.flush()

    def _printer(self) -> Callable[[LogLine], None]:
        console = self.console()

        def show(entry: LogLine) -> None:
            _print(console, entry)
            self.stdout.flush()

        return show


def _entries(service: Service, wanted: WantedLines, follow: bool) -> Iterator[LogLine]:
    """Yield the lines there are; if `follow`, then those that come. Raise StackError if there is no such service."""
    if settings.LOG_FOLDER:
        service.require()
    logs = roles_logs(service, wanted)
    try:
        yield from logs.read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            service.require()
        raise
    while follow:
        time.sleep(logs.poll_seconds)
        yield from logs.read()


def _print(console: Console, entry: LogLine) -> None:
    line = Text(f"{entry.at:%m-%d %H:%M:%S}.{entry.at.microsecond // 1000:03} ", "dim")
    line.append(f"{entry.source!s:<19} ", _OF_ROLE.get(entry.source.role.name, "default"))
    line.append(f"{entry.level:<8} ", _COLOURS.get(entry.level, "default"))
    line.append(f"{log_lines.printable(entry.event):<20}", "bold" if entry.level else "default")
    line.append(f" {log_lines.values(entry)}".rstrip())
    line.rstrip()
    console.print(line)


def _id(text: str) -> str:
    if not text.replace("-", "").isalnum():
        raise ArgumentTypeError(f"{text!r} is not the id of a photo.")
    return text
