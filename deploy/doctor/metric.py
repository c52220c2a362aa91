"""Check that the metric the workers scale by is published."""

from datetime import UTC, datetime, timedelta

from deploy.doctor.findings import Verdict, failed, ok
from deploy.service import Service
from metrics import cloudwatch
from metrics.cloudwatch import Metric

_LOOK_BACK = timedelta(minutes=20)


def check(service: Service) -> Verdict:
    """Ask CloudWatch for the newest point of BacklogPerInstance."""
    workers = service.stack("workers").outputs
    now = datetime.now(UTC)
    dimensions = (("AutoScalingGroupName", workers["Yolo5GroupName"]),)
    metric = Metric(workers["MetricNamespace"], "BacklogPerInstance", dimensions, "Maximum")
    [points] = cloudwatch.points([metric], now - _LOOK_BACK)
    if not points:
        return judge(None, 0.0, service)
    return judge(now.timestamp() - points[-1].at, points[-1].value, service)


def judge(age_seconds: float | None, value: float, service: Service) -> Verdict:
    """Judge the newest point by its age, which is None without a point."""
    todo = (
        f"Without it the group neither grows nor shrinks. Read the logs in /{service}/metrics; if you terminate the "
        f"instance of {service}-metrics, the group starts another."
    )
    if age_seconds is None:
        return failed(f"no point of BacklogPerInstance for {_LOOK_BACK.seconds // 60} minutes", todo)
    seen = f"BacklogPerInstance was {value:g}, {max(age_seconds, 0):.0f} s ago"
    return ok(seen) if age_seconds <= cloudwatch.STALE_AFTER_SECONDS else failed(seen, todo)
