"""Bring predictions back from the table's point-in-time recovery."""

import sys
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from botsite import aws
from deploy.cfn.cloudformation import StackError
from deploy.management.base import StackCommand
from deploy.operate import acts
from deploy.recovery import copies, items
from deploy.recovery.items import Fate, Way
from deploy.service import Service
from detection import times


class Command(StackCommand):
    """Make a copy of the table as it was, then copy back what the table lacks."""

    help = (
        "Bring back predictions that were lost: DynamoDB makes a copy of the table as it was, and what the table lacks "
        "is copied back, while the service runs. Run it again to continue. Needs deploy/policies/recovery/."
    )
    interrupted = "Interrupted. DynamoDB goes on with a copy it has begun: `restore` continues with it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the time, and what to do with what is there."""
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--latest", action="store_true", help="as the table was some minutes ago")
        which.add_argument("--to-time", metavar="TIME", type=_time, help="as it was then: 2026-11-26T09:30:00Z")
        which.add_argument(
            "--backup", metavar="ARN", default="", help="as in a backup: of a deleted table, AWS keeps one"
        )
        which.add_argument("--discard", action="store_true", help="only delete the copies of earlier runs")
        parser.add_argument("--overwrite", action="store_true", help="also replace what was changed since")
        parser.add_argument("--answered-only", action="store_true", help="leave out photos not answered at that time")
        parser.add_argument("--per-second", type=float, default=100, metavar="N", help="items a second (default: 100)")
        parser.add_argument("--delete-copy", action="store_true", help="delete the copy once everything is back")
        parser.add_argument("--plan", action="store_true", help="print what would be done; change nothing")
        parser.add_argument("--yes", action="store_true", help="restore without asking, for scripts")

    def run(self, service: Service, **options: Any) -> None:
        """Plan, or restore."""
        if not options["per_second"] > 0:
            raise CommandError("--per-second has to be more than 0.")
        table = service.output("storage", "PredictionsTableName")
        there = copies.existing(table)
        if options["discard"]:
            self._discard(service, there, options)
            return
        copy, at = _chosen(table, there, options)
        self._tell(table, copy, copy in there)
        if options["plan"]:
            return
        self._ask(service, f"copy into {table}", options["yes"])
        acts.record(service, "restore", table=table, copy=copy, overwrite=str(options["overwrite"]).lower())
        if copy not in there and options["backup"]:
            copies.begin_from(options["backup"], copy)
        elif copy not in there and at:
            copies.begin(table, copy, at)
        copies.wait(service, copy, self.stdout.write)
        self._copy_back(service, table, copy, options)

    def _tell(self, table: str, copy: str, made: bool) -> None:
        self.stdout.write(
            f"{copy} is there: what it has and {table} ({copies.size(table)}) lacks is copied back."
            if made
            else f"DynamoDB makes {copy}; what it has and {table} ({copies.size(table)}) lacks is copied back."
        )
        if aws.emulated():
            self.stdout.write("The local AWS keeps no history: a copy is the table as it is now.")

    def _copy_back(self, service: Service, table: str, copy: str, options: dict[str, Any]) -> None:
        way = Way(options["per_second"], options["overwrite"], options["answered_only"])
        fates = items.restore(copy, table, way, self.stdout.write)
        for fate, count in fates.items():
            if count or fate is Fate.RESTORED:
                self.stdout.write(f"{count:,} {fate}")
        if options["delete_copy"]:
            copies.delete(copy)
            self.stdout.write(f"{copy} is deleted.")
        else:
            again = f"python manage.py restore --prefix {service} --discard"
            self.stdout.write(f"{copy} is kept, at $0.25 a GB and month. Delete it: {again}")

    def _discard(self, service: Service, there: list[str], options: dict[str, Any]) -> None:
        self.stdout.write(f"Copies: {', '.join(there)}" if there else "There are no copies.")
        if options["plan"] or not there:
            return
        self._ask(service, "delete them", options["yes"])
        acts.record(service, "discard", copies=", ".join(there))
        for copy in there:
            copies.delete(copy)
        self.stdout.write("Deleted.")

    def _ask(self, service: Service, what: str, sure: bool) -> None:
        """Have the prefix typed; raise CommandError if it isn't."""
        if sure:
            return
        if not (sys.stdin.isatty() and self.stdout.isatty()):
            raise CommandError("Nothing was done: there is no terminal to ask on. Add --yes.")
        self.stdout.write(f"Type {service} to {what}: ", ending="")
        self.stdout.flush()
        try:
            typed = input()
        except EOFError:
            self.stdout.write("")
            typed = ""
        if typed != service.prefix:
            raise CommandError("Nothing was done.")


def _chosen(table: str, there: list[str], options: dict[str, Any]) -> tuple[str, datetime | None]:
    """Return the name of the copy to use, and the moment if DynamoDB has to make it; raise StackError."""
    at: datetime | None = None
    if options["backup"]:
        copy = copies.name_of(table, options["backup"])
    elif options["latest"] or options["to_time"]:
        at = options["to_time"]
        if at is None or copies.name_at(table, at) not in there:
            at = copies.moment(table, at)
        copy = copies.name_at(table, at)
    elif len(there) == 1:
        copy = there[0]
    else:
        raise StackError("Say to which state: --latest, --to-time 2026-11-26T09:30:00Z or --backup ARN.")
    if others := [one for one in there if one != copy]:
        raise StackError(
            f"{', '.join(others)} is there from an earlier run. Continue with it: `restore` without a time. Or delete "
            "it: `restore --discard`."
        )
    return copy, at


def _time(text: str) -> datetime:
    """Return the time, for argparse, which turns a ValueError into a message."""
    return times.read(text)


_time.__name__ = "time"
