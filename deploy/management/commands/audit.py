"""Check that each update that was taken has exactly one answer."""

import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.table import Table

from botsite import pause
from deploy.audit import answers, photos
from deploy.audit.photos import Found
from deploy.management import arguments
from deploy.management.base import DataCommand
from deploy.service import DEFAULT_PREFIX, Service
from detection.record import times


class Command(DataCommand):
    """Judge the photos of some hours by the table, the bucket, the dead letters and the logs."""

    help = (
        "Check that each photo has exactly one answer, or a reason. Looks for answers that are missing, doubled or "
        "given up, and for what is left of deleted photos. Exits with 1 if it names any. Needs dynamodb:Query "
        "and BatchGetItem, s3:ListBucket, logs:StartQuery and GetQueryResults, and on the dead letters "
        "sqs:GetQueueAttributes, ReceiveMessage and ChangeMessageVisibility."
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
        since, until = options["since"], times.now()
        told = _answers(options["logs"], Service(options["prefix"] or DEFAULT_PREFIX), since, until)
        paused = pause.read(settings.PREDICTIONS_TABLE) is not None
        found = photos.judge(since, until, told, self._progress, paused=paused)
        photos.gone(found, told)
        photos.leftovers(found, since, until)
        photos.kept(found)
        photos.unburied(found, until)
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(found, since, until), indent=2))
        else:
            self._print(found, since)
        if found.breaches:
            sys.exit(1)

    def _progress(self, read: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"{read} photos read\r", ending="")

    def _print(self, found: Found, since: datetime) -> None:
        console = self.console()
        console.print(f"{_photos(len(found.photos))} since {since:%Y-%m-%d %H:%M} UTC")
        for outcome, number in found.outcomes.most_common():
            if number:
                console.print(f"  {number:>7}  {outcome}")
        if not found.breaches:
            console.print("Each has one answer, or a reason; nothing is left of what was deleted.")
            return
        table = Table("photo", "", "seen", box=None, header_style="bold", pad_edge=False)
        for breach in found.breaches:
            table.add_row(breach.prediction_id, breach.kind, breach.seen)
        console.print(table)
        console.print(f"The promise was broken for {_photos(len(found.breaches))}: `trace ID` tells what happened.")


def _photos(number: int) -> str:
    return f"{number} photo{'' if number == 1 else 's'}"


def _answers(folder: Path | None, service: Service, since: datetime, until: datetime) -> Counter[str]:
    folder = folder or (Path(settings.LOG_FOLDER) if settings.LOG_FOLDER else None)
    try:
        return answers.in_files(folder, since) if folder else answers.in_cloudwatch(service, since, until)
    except (answers.Unknown, FileNotFoundError) as error:
        raise CommandError(str(error)) from error


def _as_dict(found: Found, since: datetime, until: datetime) -> dict[str, object]:
    return {
        "since": times.text(since),
        "until": times.text(until),
        "photos": len(found.photos),
        "outcomes": dict(found.outcomes),
        "breaches": [vars(breach) for breach in found.breaches],
    }
