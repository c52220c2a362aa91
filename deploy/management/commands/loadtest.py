"""Test the service under load."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from deploy.loadtest import session
from deploy.loadtest.arrivals import SHAPES
from deploy.loadtest.errors import LoadTestError
from deploy.loadtest.pictures import MOST
from deploy.loadtest.screen import Screen
from deploy.local.processes import ChildFailed
from deploy.management.base import StackCommand
from deploy.service import Service
from detection.model.weights import WeightsMissing

_MOST = 100_000
_CHATS = (
    "chats that the photos come from and the answers go to, in turn; each has pressed Start in the bot. Telegram takes "
    "one message a second for a chat and the bot keeps to 25 a second in all, so N photos in C chats take N/25 and N/C "
    "seconds at least: use many chats for many photos (default on a fake Telegram: a made-up one a photo)"
)


class Command(StackCommand):
    """Send photos, follow the answers, write a report. Of the stack, only a self-signed certificate is looked up."""

    help = (
        "Send photos to the webhook as Telegram would, follow every answer, watch the service scale, and write a "
        "report with a plot. Works on whatever the environment names; exit code 1 if an answer was lost or doubled."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what is sent, where from, and for how long."""
        super().add_arguments(parser)
        count, above_0 = _number(int, f"a whole number from 1 to {_MOST:,}"), _number(float, "a number above 0")
        say = parser.add_argument
        say("--photos", type=count, default=300, help="how many photos (default: %(default)s)")
        say("--rate", type=above_0, default=5.0, help="photos a second, on average (default: %(default)s)")
        say("--shape", choices=SHAPES, default="constant", help="how they come (default: %(default)s)")
        say("--trace", type=Path, help="a CSV with lines seconds,photos that says instead how many come when")
        say("--folder", type=Path, help=f"photos to send, in turn, {MOST} at most (default: the demo's sample)")
        say("--chat-ids", type=int, nargs="+", default=[], metavar="ID", help=_CHATS)
        say(
            "--timeout", type=above_0, default=600.0, help="wait so long for answers, in seconds (default: %(default)s)"
        )
        say("--interval", type=above_0, default=2.0, help="read the gauges so often, in seconds (default: %(default)s)")
        say("--settle", type=above_0, default=5.0, help="look for second answers so long (default: %(default)s s)")
        say("--until-scaled-in", action="store_true", help="watch until the group is back at its minimum")
        say("--out", type=Path, help="folder for the report (default: a new one in var/loadtest)")
        say("--local", action="store_true", help="test a stack that is started here, and stopped afterwards")

    def run(self, service: Service, **options: Any) -> None:
        """Run the test, print its report, and fail if an answer was lost or doubled."""
        chosen = {name: options[name] for name in session.Options.__dataclass_fields__}
        chosen["out"] = options["out"] or settings.BASE_DIR / "var" / "loadtest" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        try:
            report = session.run(session.Options(**chosen), Screen(self.console()))
        except (LoadTestError, ChildFailed, WeightsMissing) as error:
            raise CommandError(str(error)) from error
        if report is None:
            raise CommandError("Stopped before a photo was sent.", returncode=130)
        self.stdout.write(report.text() + f"Report and plot: {chosen['out']}\n")
        if report.run.interrupted:
            raise CommandError("Stopped before all photos were sent and answered.", returncode=130)
        if not report.tally.kept:
            raise CommandError("Answers were lost or doubled: report.json tells which.")


def _number(kind: type[int] | type[float], what: str) -> Callable[[str], float]:
    """Return a type for argparse that takes a number above 0 and not above _MOST."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value <= _MOST:
            raise ArgumentTypeError(f"{text!r} is not {what}.")
        return value

    return read
