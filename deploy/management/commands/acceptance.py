"""Rehearse the first hour on AWS, and measure what only AWS can show."""

import logging
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from botsite import aws
from deploy.acceptance import session
from deploy.acceptance.plan import HOURS, AcceptanceError, AcceptanceOptions, new_prefix
from deploy.acceptance.report import AcceptanceReport, StepScreen
from deploy.acceptance.steps import NAMES
from deploy.management import before, token_input
from deploy.management.base import StackCommand
from deploy.management.confirm import confirm
from deploy.provision import Order
from deploy.service import Service
from detection.model.weights import WeightsMissing
from metrics.machine_types import AS_OF

_MOST = 5000


class Command(StackCommand):
    """Make a service of its own, use it, break it, measure it, and delete it."""

    help = (
        "Rehearse the first hour on AWS with a service of its own: provision, photos from zero, a burst, scale-in, an "
        "instance refresh and a killed worker under load, doctor, logs, teardown. Measures, and writes report.md and "
        "report.json as it goes. Deletes everything in the end, at Ctrl-C too."
    )
    interrupted = "Interrupted. report.md says what was measured by then, and what is left."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what to make, how to send photos, and where the report goes."""
        say = parser.add_argument
        say("--prefix", default="", help="one that nobody has (default: objdet-try-XXXX)")
        say("--local", action="store_true", help="in a local AWS of its own on this machine, with time scaled")
        say("--keep", action="store_true", help="delete nothing in the end; says what it costs, and how to delete it")
        say("--yes", action="store_true", help="begin without asking, for scripts")
        say("--photos", type=_count, default=300, metavar="N", help="photos in a burst (default: %(default)s)")
        say("--no-bot", action="store_true", help="put jobs into the queue directly: needs no Telegram, answers nobody")
        say("--token-fd", type=int, metavar="N", help="read the token of a bot that nobody uses: --token-fd 3 3<file")
        say("--chat-ids", type=int, nargs="+", default=[], metavar="ID", help="chats that get the answers on AWS")
        say("--parameter", action="append", default=[], metavar="NAME=VALUE", help="a template parameter")
        say("--only", default="", metavar="STEPS", help=f"some steps, and what they need: {','.join(NAMES)}")
        say("--report", type=Path, metavar="FOLDER", help="folder of the report (default: a new one in var/acceptance)")
        say("--json", action="store_true", help="print the report as JSON; the progress goes to standard error")

    def reach(self) -> None:
        """Ask for nothing yet: a local AWS of its own may be the one to run in."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Choose a prefix where none is given."""
        super().handle(*args, **{**options, "prefix": options["prefix"] or new_prefix()})

    def run(self, service: Service, **options: Any) -> None:
        """Run the steps, and end as they did."""
        # A site logs each photo, which belongs in its log, not here.
        logging.getLogger().setLevel(logging.WARNING)
        console = Console(file=sys.stderr, highlight=False) if options["json"] else self.console()
        chosen = _options(service, options)
        if not (chosen.local or aws.emulated()):
            super().reach()
            chosen = self._with_token(chosen, service, options["token_fd"], console)
        try:
            report = session.run(chosen, _Ready(console, options), StepScreen(console))
        except (AcceptanceError, WeightsMissing) as error:
            raise CommandError(str(error)) from error
        self._print(report, console, as_json=options["json"])
        if report.interrupted:
            raise CommandError("Stopped before all steps were done.", returncode=130)
        if not report.good:
            raise CommandError("Not everything went well: the report says what.")

    def _with_token(
        self, chosen: AcceptanceOptions, service: Service, descriptor: int | None, console: Console
    ) -> AcceptanceOptions:
        """Return the options with the token of the bot, if there is to be one."""
        if not (chosen.bot and chosen.chat_ids):
            return chosen
        return replace(chosen, token=token_input.take(service, descriptor, console))

    def _print(self, report: AcceptanceReport, console: Console, as_json: bool) -> None:
        if as_json:
            self.stdout.write(report.json())
        for line in report.left:
            console.print(f"Left: {line}", markup=False)
        console.print(f"{report.verdict()} Report: {report.folder / 'report.md'}", markup=False)


class _Ready:
    """Says whose account this is and what the run costs, looks whether it can work, and has somebody agree."""

    def __init__(self, console: Console, options: dict[str, Any]) -> None:
        self._console, self._options = console, options

    def __call__(self, order: Order, dollars: float) -> Order:
        """Return the order as the account can carry it out; raise CommandError."""
        before.tell(self._console)
        self._console.print(
            f"This makes the service {order.service} there, takes about {HOURS:g} hours on AWS and costs about "
            f"US$ {dollars:.2f} (list prices, {AS_OF}). {_end(order, self._options)}",
            markup=False,
        )
        if not self._options["yes"]:
            instead = "Add --yes to begin without asking."
            confirm(self._console, "Begin? [y/N] ", "Nothing was made", instead)
        return before.ready(self._console, order)


def _end(order: Order, options: dict[str, Any]) -> str:
    if options["keep"]:
        return "It stays (--keep)."
    return "In the end everything is deleted; should this program be killed: " + (
        f"python manage.py teardown --prefix {order.service}"
    )


def _options(service: Service, options: dict[str, Any]) -> AcceptanceOptions:
    if options["keep"] and options["local"]:
        raise CommandError("--keep can't keep a local AWS: it ends with this command.")
    names = frozenset(filter(None, options["only"].split(",")))
    if unknown := names.difference(NAMES):
        raise CommandError(f"--only {','.join(sorted(unknown))}: the steps are {', '.join(NAMES)}.")
    return AcceptanceOptions(
        prefix=service.prefix,
        out=options["report"] or settings.BASE_DIR / "var" / "acceptance" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        photos=options["photos"],
        local=options["local"],
        keep=options["keep"],
        bot=not options["no_bot"],
        chat_ids=tuple(options["chat_ids"]),
        parameters=dict(_pair(text) for text in options["parameter"]),
        only=names,
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--parameter {text!r} is not NAME=VALUE.")
    return name, value


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {_MOST:,}.")
    return int(text)
