"""Show what happened to the service."""

import json
from typing import Any

from django.core.management.base import CommandParser
from rich.text import Text

from deploy.management import arguments
from deploy.management.base import StackCommand
from deploy.operate import events
from deploy.service import Service
from detection.record import times


class Command(StackCommand):
    """Print a line an event, the newest first."""

    help = (
        "Show what happened, newest first: launches and deaths of machines and why, who deployed or rolled back what, "
        "what operators did. Needs read permissions only; what these credentials may not read is said at the end."
    )
    interrupted = "Interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add since when, and the format."""
        super().add_arguments(parser)
        parser.add_argument(
            "--since",
            type=arguments.time,
            default="24h",
            help="10m, 2h, 1d or a time in ISO 8601 (default: %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Read all kinds of events, and print them."""
        service.require()
        found = events.read_events(service, options["since"])
        merged = events.merged(found)
        unread = {kind: one.seen for kind, one in found.items() if not one.known}
        if options["json"]:
            listed = [
                {"time": times.text(one.at), "kind": one.kind, "text": one.text, "failed": one.failed} for one in merged
            ]
            whole = {"since": times.text(options["since"]), "events": listed, "not_known": unread}
            self.stdout.write(json.dumps(whole, indent=2))
            return
        console = self.console()
        for one in merged:
            line = Text(f"{one.at:%m-%d %H:%M:%S} ", "dim").append(f"{one.kind:<9} ", "bold")
            console.print(line.append(one.text, "red" if one.failed else "default"))
        for kind, reason in unread.items():
            console.print(Text(f"? {kind}: {reason}", "cyan"))
        if not merged:
            self.stderr.write(f"Nothing happened since {options['since']:%Y-%m-%d %H:%M} UTC.", str)
