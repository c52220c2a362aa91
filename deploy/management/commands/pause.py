"""Pause the service."""

import json
from typing import Any

from django.core.management.base import CommandParser

from botsite import pause
from botsite.roles import YOLO5
from deploy.cfn import hold
from deploy.management.base import StackCommand
from deploy.operate import operators, pausing
from deploy.operate.pausing import Waiting
from deploy.service import Service
from detection.record import times


class Command(StackCommand):
    """Pause; doing so twice changes nothing."""

    help = (
        "Pause the service: photos are still taken and kept, and each chat is told so once; workers receive no jobs, "
        "machines go, nothing times out. `resume` ends it. Needs cloudformation:DescribeStacks, dynamodb:GetItem, "
        "PutItem and Query, sqs:GetQueueAttributes, autoscaling:DescribeScheduledActions."
    )
    interrupted = "Interrupted: `status` tells whether the service is paused."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the format."""
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def run(self, service: Service, **options: Any) -> None:
        """Pause, and say what is kept for how long."""
        service.require()
        found, new = pause.begin(service.setting("PREDICTIONS_TABLE"), operators.caller())
        left, held = pausing.waiting(service), hold.read(YOLO5.group(service))
        if options["json"]:
            said = {"paused": True, "new": new, "by": found.by, "since": times.text(found.since)}
            self.stdout.write(json.dumps({**said, **left.as_dict(), "held": held and held.minimum}, indent=2))
            return
        self.stdout.write(f"The service is {'now' if new else 'already'} {found}.")
        self.stdout.write(_words(left))
        if held:
            self.stdout.write(f"Its workers are {held}, and cost meanwhile: `manage.py scale --off` lets them go.")


def _words(left: Waiting) -> str:
    """Return what goes on, and what would be lost when."""
    photos = "1 photo waits" if left.jobs == 1 else f"{left.jobs} photos wait"
    return (
        f"Within {pause.IN_FORCE_SECONDS} s workers receive nothing more; what they have is finished. {photos}.\n"
        f"Photos are kept for {left.photo_kept.days} days, jobs for {left.job_kept.total_seconds() / 86400:g}, after "
        f"which they are sent again: nothing is lost before {left.safe_until:%Y-%m-%d %H:%M} UTC. Until then: "
        "`manage.py resume`"
    )
