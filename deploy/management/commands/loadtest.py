"""Test the service under load."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from deploy.loadtest import session
from deploy.loadtest.plan import SHAPES, LoadOptions, LoadTestError
from deploy.loadtest.screen import Screen
from deploy.loadtest.send import MOST_PICTURES
from deploy.management.base import StackCommand
from deploy.service import Service
from detection.model.weights import WeightsMissing

_MOST = 100_000
_DEFAULTS = ("photos", "rate", "shape", "timeout", "interval", "settle")
_CHATS = (
    "chats that send the photos and get the answers, in turn; their owners must press Start in the bot first. Telegram "
    "accepts one message a second per chat and the bot sends at most 25 a second overall, so N photos in C chats take "
    "at least N/25 and N/C seconds: use many chats for many photos (default on a fake Telegram: made-up chats)"
)


class Command(StackCommand):
    """Send photos, follow the answers and write a report. `--prefix` is only used to find a self-signed certificate."""

    help = (
        "Send photos as Telegram would, and measure the answers: a report with a plot says when each came, and how the "
        "service scaled. Tests whatever the environment names; exits with 1 if an answer was lost or doubled."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options for what is sent, from where, and for how long."""
        super().add_arguments(parser)
        count, above_0 = _number(int, f"a whole number from 1 to {_MOST:,}"), _number(float, "a number above 0")
        say = parser.add_argument
        say("--photos", type=count, help="how many photos (default: %(default)s)")
        say("--rate", type=above_0, help="photos per second, on average (default: %(default)s)")
        say("--shape", choices=SHAPES, help="how they are spread over time (default: %(default)s)")
        say("--trace", type=Path, help="send at the times in a CSV instead, with lines seconds,photos")
        say(
            "--folder",
            type=Path,
            help=f"folder with up to {MOST_PICTURES} photos to send in turn (default: the demo's sample)",
        )
        say("--chat-ids", type=int, nargs="+", default=[], metavar="ID", help=_CHATS)
        say("--timeout", type=above_0, help="seconds to wait for answers (default: %(default)s)")
        say("--interval", type=above_0, help="seconds between gauge readings (default: %(default)s)")
        say("--settle", type=above_0, help="seconds to look for second answers (default: %(default)s)")
        say("--until-scaled-in", action="store_true", help="keep watching until the group is back at its minimum")
        say("--out", type=Path, help="folder for the report (default: a new one in var/loadtest)")
        say("--local", action="store_true", help="start a stack on this machine, test it, and stop it")
        parser.set_defaults(**{name: getattr(LoadOptions, name) for name in _DEFAULTS})

    def reach(self) -> None:
        """Ask for nothing yet: a stack of its own may be the one to test."""

    def run(self, service: Service, **options: Any) -> None:
        """Run the test, print its report, and fail if an answer was lost or doubled."""
        chosen = {name: options[name] for name in LoadOptions.__dataclass_fields__}
        chosen["out"] = options["out"] or settings.BASE_DIR / "var" / "loadtest" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        try:
            report = session.run(LoadOptions(**chosen), Screen(self.console()))
        except (LoadTestError, WeightsMissing) as error:
            raise CommandError(str(error)) from error
        if report is None:
            raise CommandError("Stopped before any photo was sent.", returncode=130)
        self.stdout.write(report.text() + f"Report and plot: {chosen['out']}\n")
        if report.run.interrupted:
            raise CommandError("Stopped before all photos were sent and answered.", returncode=130)
        if broken := report.broken():
            raise CommandError(broken)


def _number(kind: type[int] | type[float], what: str) -> Callable[[str], float]:
    """Return a type for argparse that accepts numbers above 0, up to _MOST."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value <= _MOST:
            raise ArgumentTypeError(f"{text!r} is not {what}.")
        return value

    return read
