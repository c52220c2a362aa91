"""Tell whether the standby worker works: it runs next to the metric, and takes jobs like any other.

It says so itself, in the predictions table, and counts as capacity only while its word is less than a minute old. It
has done well when it has finished a job, or when SQS had none for it and it held none; one that hangs or is paused
does neither. One that gives a job back takes its word back, until it has finished another.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from celery import states
from celery.signals import task_postrun, worker_shutdown
from django.conf import settings

from botsite import aws
from botsite.sqs.loops import Loop
from botsite.sqs.receiving import RECEIVING

log = structlog.get_logger()

# What it reports under, as machines do under their ids (detection/work/reports.py).
MACHINE = "standby"
_KEY = {"prediction_id": f"machine#{MACHINE}"}
# A write costs $0.0000006; so many fit into the time that its word counts.
_SAY_SECONDS, _HEARD_SECONDS = 20.0, 60.0
_LOOK_SECONDS, _FAILED_SECONDS = 0.5, 5.0
_FAILED = (ClientError, BotoCoreError)


class Standby(Loop):
    """Tells the table, until stopped, when this worker last did well."""

    def __init__(self) -> None:
        super().__init__("standby", self._look)
        # One that did not end in order left it. What ended that may end this one too: first, a job has to succeed.
        self._trusted = not settings.LIVENESS_FILE.exists()
        #: When this worker last did well, in epoch seconds; 0 if it can't be relied on.
        self.well_at = 0.0
        self._said = 0.0

    def begin(self) -> None:
        """Have the worker's jobs and receivers tell how they fare."""
        task_postrun.connect(self.finished, weak=False)
        worker_shutdown.connect(self.leave, weak=False)
        RECEIVING.when_idle(self.idle)
        self.start()

    def idle(self) -> None:
        """Note that SQS has nothing for this worker, which has nothing to do."""
        if self._trusted:
            self.well_at = time.time()

    def finished(self, state: str = "", **_: Any) -> None:
        """Note that a job has ended: well, or so that it comes again."""
        self._trusted = state == states.SUCCESS
        self.well_at = time.time() if self._trusted else 0.0

    def leave(self, **_: Any) -> None:
        """Take the word back: it counts no longer than this worker works."""
        self.stop()
        self.join(_FAILED_SECONDS)
        self._say(0.0)

    def _look(self) -> None:
        well_at = self.well_at
        if well_at - self._said >= _SAY_SECONDS or (self._said and not well_at):
            self._say(well_at)
        self.stopped.wait(_LOOK_SECONDS)

    def _say(self, well_at: float) -> None:
        try:
            aws.dynamodb().update_item(
                TableName=settings.PREDICTIONS_TABLE,
                Key=_KEY,
                UpdateExpression="SET heard_at = :at",
                ExpressionAttributeValues={":at": datetime.fromtimestamp(well_at, UTC).isoformat()},
            )
        except _FAILED as error:
            # It is silent then, as it should be.
            log.warning("standby_not_heard", error=str(error))
            self.stopped.wait(_FAILED_SECONDS)
        else:
            self._said = well_at


def heard(table: str = "") -> bool:
    """Return whether a standby worker did well within the last minute, as the table says; False if that is unknown."""
    if not (table := table or settings.PREDICTIONS_TABLE):
        # Nothing is deployed.
        return False
    try:
        answer = aws.dynamodb().get_item(TableName=table, Key=_KEY, ConsistentRead=True)
        at = datetime.fromisoformat(answer.get("Item", {}).get("heard_at", ""))
    except _FAILED as error:
        log.warning("standby_unknown", error=str(error))
        return False
    except ValueError:
        return False
    # Another machine's clock may be ahead a little.
    return abs(datetime.now(UTC) - at) < timedelta(seconds=_HEARD_SECONDS)
