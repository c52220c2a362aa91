"""Hold workers for a while."""

import json
import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from deploy.cfn.hold import Hold
from deploy.management.base import StackCommand
from deploy.operate import scale
from deploy.service import Service
from detection.record import times
from metrics.machine_types import AS_OF

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=7)


class Command(StackCommand):
    """Raise the group's minimum, and have AWS set it back."""

    help = (
        "Hold at least so many workers for a while; a scheduled action of EC2 Auto Scaling sets it back by itself. "
        "Needs cloudformation:DescribeStacks, autoscaling:DescribeAutoScalingGroups, DescribeScheduledActions, "
        "PutScheduledUpdateGroupAction, UpdateAutoScalingGroup and DeleteScheduledAction."
    )
    interrupted = "Interrupted: `status` tells whether workers are held."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add how many, for how long, and the end of it."""
        super().add_arguments(parser)
        parser.add_argument("--min", type=_positive, metavar="N", help="at least so many workers, up to MaxWorkers")
        parser.add_argument("--for", dest="span", type=_span, metavar="TIME", help="for 30m, 2h or 1d; at most 7d")
        parser.add_argument("--off", action="store_true", help="end it now")
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Hold, or end it."""
        minimum, span = options["min"], options["span"]
        if options["off"] == bool(minimum or span) or bool(minimum) != bool(span):
            raise CommandError("Give --min N and --for TIME together, or --off.")
        service.require()
        if options["off"]:
            self._ended(scale.end(service), options["json"])
            return
        # AWS takes whole seconds.
        until = (datetime.now(UTC) + span).replace(microsecond=0)
        self._begun(service, scale.begin(service, minimum, until), span, options["json"])

    def _begun(self, service: Service, held: Hold, span: timedelta, as_json: bool) -> None:
        dollars = scale.dollars_an_hour(service, held.minimum)
        if as_json:
            self.stdout.write(json.dumps({**_as_dict(held), "dollars_an_hour": dollars}, indent=2))
            return
        self.stdout.write(f"{held.group} is {held}; then its minimum is {held.before} again.")
        if dollars is None:
            self.stdout.write("metrics/machine_types.py has no price for its type.")
            return
        total = dollars * span.total_seconds() / 3600
        self.stdout.write(
            f"That costs up to ${dollars:.3f} an hour, ${total:.2f} in all, more if they work (list prices, {AS_OF}). "
            "To end it: `manage.py scale --off`"
        )

    def _ended(self, held: Hold | None, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"held": False, "was": held and _as_dict(held)}, indent=2))
        elif held:
            self.stdout.write(f"{held.group} was {held}; its minimum is {held.before} again.")
        else:
            self.stdout.write("No workers were held.")


def _as_dict(held: Hold) -> dict[str, object]:
    until = times.text(held.until)
    return {"group": held.group, "minimum": held.minimum, "by": held.by, "until": until, "before": held.before}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of workers, 1 or more; --off ends a hold.")
    return int(text)


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    span = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not _SHORTEST <= span <= _LONGEST:
        raise ArgumentTypeError(f"{text!r} is no time from 1m to 7d: give 30m, 2h or 1d.")
    return span
