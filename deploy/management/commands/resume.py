"""End a pause of the service."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser

from botsite import pause
from deploy.management.base import StackCommand
from deploy.operate import pausing
from deploy.service import Service
from detection.record import timeline, times


class Command(StackCommand):
    """Resume; a service that is not paused stays as it is."""

    help = (
        "End a pause: workers receive again, and machines start for what waits. Needs cloudformation:DescribeStacks, "
        "dynamodb:DeleteItem and Query, sqs:GetQueueAttributes."
    )
    interrupted = "Interrupted: `status` tells whether the service is still paused."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the format."""
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Resume, and say how much waits."""
        service.require()
        # Before workers take them.
        jobs = pausing.waiting(service).jobs
        found = pause.end(service.setting("PREDICTIONS_TABLE"))
        if options["json"]:
            was = {"by": found.by, "since": times.text(found.since)} if found else None
            self.stdout.write(json.dumps({"paused": False, "was": was, "waiting": jobs}, indent=2))
            return
        photos = "1 photo waits" if jobs == 1 else f"{jobs} photos wait"
        if not found:
            self.stdout.write(f"The service was not paused. {photos}.")
            return
        lasted = timeline.readable(round((datetime.now(UTC) - found.since).total_seconds() * 1000))
        self.stdout.write(
            f"Resumed after {lasted}: it was {found}. {photos}; without a worker, the first one is launched within a "
            "minute or so."
        )
