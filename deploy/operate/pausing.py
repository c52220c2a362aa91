"""Tell of a paused service who paused it, how many photos wait meanwhile, and for how long they are kept."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws, pause
from deploy.service import Service
from detection.record import times
from detection.record.schemas import Status
from metrics import cloudwatch
from metrics.health.findings import Finding, ok, warning
from metrics.health.waiting import oldest


@dataclass(frozen=True)
class Waiting:
    """The number of waiting jobs, and how long they and their photos are kept; nothing is lost before `safe_until`."""

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
    """Count what waits; a photo and its item are kept for some days from when it came."""
    url = service.setting("JOBS_QUEUE_URL")
    name = "MessageRetentionPeriod"
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    kept = timedelta(days=int(service.setting("PREDICTIONS_KEPT_DAYS")))
    first = oldest(service.setting("PREDICTIONS_TABLE"), "status", Status.QUEUED, at_most=1)
    came = times.parse(first[0]["created_at"]) if first else None
    job_kept = timedelta(seconds=int(answer["Attributes"][name]))
    return Waiting(cloudwatch.queue(url).visible, job_kept, kept, (came or datetime.now(UTC)) + kept)


def read_pause(service: Service) -> Finding[Any]:
    """Tell whether the service is paused, for the status."""
    found = pause.read(service.setting("PREDICTIONS_TABLE"))
    if found is None:
        return ok("not paused", {"by": None, "since": None})
    left = waiting(service)
    data = {"by": found.by, "since": times.text(found.since), **left.as_dict()}
    return warning(f"{found}; nothing is lost before {left.safe_until:%Y-%m-%d}", data=data)
