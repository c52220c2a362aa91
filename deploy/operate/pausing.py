"""A service that is paused: who paused it, how many photos wait meanwhile, and for how long they are kept."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws, pause
from deploy.operate.seen import Line, Mark, Seen
from deploy.service import Service
from detection.record import times
from detection.record.schemas import Status
from metrics import cloudwatch


@dataclass(frozen=True)
class Waiting:
    """How many jobs wait, and how long they and their photos are kept; `safe_until`: nothing is lost before."""

    jobs: int
    job_kept: timedelta
    photo_kept: timedelta
    safe_until: datetime

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "waiting": self.jobs,
            "job_kept_seconds": round(self.job_kept.total_seconds()),
            "photo_kept_days": self.photo_kept.days,
            "safe_until": times.text(self.safe_until),
        }


def waiting(service: Service) -> Waiting:
    """Ask for what waits; a photo is kept for so many days from when it came, and so is its item."""
    url = service.setting("JOBS_QUEUE_URL")
    name = "MessageRetentionPeriod"
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    kept = timedelta(days=int(service.setting("PREDICTIONS_KEPT_DAYS")))
    oldest = _oldest(service.setting("PREDICTIONS_TABLE")) or datetime.now(UTC)
    job_kept = timedelta(seconds=int(answer["Attributes"][name]))
    return Waiting(cloudwatch.queue(url).visible, job_kept, kept, oldest + kept)


def read(service: Service) -> Seen:
    """Tell whether the service is paused, for the status."""
    found = pause.read(service.setting("PREDICTIONS_TABLE"))
    if found is None:
        return Seen({"by": None, "since": None}, (Line("not paused"),))
    left = waiting(service)
    data = {"by": found.by, "since": times.text(found.since), **left.as_dict()}
    return Seen(data, (Line(f"{found}; nothing is lost before {left.safe_until:%Y-%m-%d}", Mark.NOTE),))


def _oldest(table: str) -> datetime | None:
    """Return when the oldest photo came that has no answer yet, None if none waits."""
    query: dict[str, Any] = {
        "TableName": table,
        "IndexName": "by_status",
        "KeyConditionExpression": "#status = :queued",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":queued": Status.QUEUED},
        "Limit": 1,
    }
    found = aws.dynamodb().query(**query)["Items"]
    return times.parse(found[0]["created_at"]) if found else None
