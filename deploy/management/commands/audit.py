"""Check that each update that was taken has exactly one answer."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.table import Table

from botsite import pause
from deploy.audit import answers as logged
from deploy.audit import photos, remains
from deploy.audit.photos import Found
from deploy.cfn.cloudformation import StackError
from deploy.management import arguments
from deploy.management.base import DataCommand
from deploy.service import DEFAULT_PREFIX, Service
from detection.record import times


class Command(DataCommand):
    """Judge the photos of some hours by the table, the bucket, the dead letters and the logs."""

    help = (
        "Check that each photo has exactly one answer, or a reason. Looks for answers that are missing, doubled, given "
        "up or without a photo, and for what is left of deleted photos. Exits with 1 if it names any. Needs "
        "dynamodb:Query and BatchGetItem, s3:ListBucket, logs:StartQuery and GetQueryResults, on the dead letters "
        "sqs:GetQueueAttributes, ReceiveMessage and ChangeMessageVisibility, and after a deletion "
        "secretsmanager:GetSecretValue."
    )
    interrupted = "Interrupted. Nothing was changed."
    needs = ("JOBS_QUEUE_URL", "PREDICTIONS_TABLE", "IMAGES_BUCKET")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which photos, and where the logs are."""
        super().add_arguments(parser)
        say = parser.add_argument
        say("--since", type=arguments.time, default="24h", help="24h, 7d or a time in ISO 8601 (default: %(default)s)")
        say("--logs", type=Path, metavar="FOLDER", help="read log files there instead of CloudWatch Logs")
        say("--json", action="store_true", help="print it as JSON")

    def work(self, **options: Any) -> None:
        """Judge, and print the outcomes and each breach."""
        service = Service(options["prefix"] or DEFAULT_PREFIX)
        found = Found(options["since"], times.now(), pause.read(settings.PREDICTIONS_TABLE) is not None)
        count = partial(_count, options["logs"], service, found.until)
        answers = count(logged.ANSWERED, found.since)
        photos.judge(found, answers, self._progress)
        photos.gone(found, answers, lambda: count(logged.TAKEN, found.since - logged.TAKEN_BEFORE))
        remains.leftovers(found)
        if begun := remains.deletions_of(found):
            try:
                remains.kept(found, begun, _key(service, own=not options["prefix"]))
            except StackError as error:
                found.unchecked = f"Whether photos were kept after their deletion is not known: {error}"
        remains.unburied(found)
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(found), indent=2))
        else:
            self._print(found)
        if found.breaches:
            sys.exit(1)

    def _progress(self, read: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"{read} photos read\r", ending="")

    def _print(self, found: Found) -> None:
        console = self.console()
        console.print(f"{_photos(len(found.photos))} since {found.since:%Y-%m-%d %H:%M} UTC")
        for outcome, number in found.outcomes.most_common():
            if number:
                console.print(f"  {number:>7}  {outcome}")
        if not found.breaches:
            console.print(found.unchecked or "Each has one answer, or a reason; nothing is left of what was deleted.")
            return
        table = Table("photo", "", "seen", box=None, header_style="bold", pad_edge=False)
        for breach in found.breaches:
            table.add_row(breach.prediction_id, breach.kind, breach.seen)
        console.print(table)
        console.print(f"The promise was broken for {_photos(len(found.breaches))}: `trace ID` tells what happened.")


def _photos(number: int) -> str:
    return f"{number} photo{'' if number == 1 else 's'}"


def _key(service: Service, *, own: bool) -> str:
    """Return what the keys of deletions are made with: this process's own, if it has any and may use it."""
    if own and settings.PREDICTION_ID_KEY:
        return str(settings.PREDICTION_ID_KEY)
    return service.secret("PREDICTION_ID_KEY") or service.secret("RESULTS_KEY")


def _count(
    folder: Path | None, service: Service, until: datetime, events: Sequence[str], since: datetime
) -> Counter[str]:
    folder = folder or (Path(settings.LOG_FOLDER) if settings.LOG_FOLDER else None)
    try:
        if folder:
            return logged.in_files(folder, events, since)
        return logged.in_cloudwatch(service, events, since, until)
    except (logged.Unknown, FileNotFoundError) as error:
        raise CommandError(str(error)) from error


def _as_dict(found: Found) -> dict[str, object]:
    return {
        "since": times.text(found.since),
        "until": times.text(found.until),
        "photos": len(found.photos),
        "outcomes": dict(found.outcomes),
        "unchecked": found.unchecked,
        "breaches": [vars(breach) for breach in found.breaches],
    }
