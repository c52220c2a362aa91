"""Check that the metric the workers scale by is published."""

from datetime import UTC, datetime, timedelta

from botsite import aws
from deploy.doctor.findings import Verdict, failed, ok
from deploy.service import Service
from metrics import cloudwatch

_LOOK_BACK = timedelta(minutes=20)


def check(service: Service) -> Verdict:
    """Ask CloudWatch for the newest point of BacklogPerInstance."""
    workers = service.stack("workers").outputs
    now = datetime.now(UTC)
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace=workers["MetricNamespace"],
        MetricName="BacklogPerInstance",
        Dimensions=[{"Name": "AutoScalingGroupName", "Value": workers["Yolo5GroupName"]}],
        StartTime=now - _LOOK_BACK,
        EndTime=now + timedelta(minutes=1),
        # High-resolution points, so their time is exact to the second; an answer has at most 1440.
        Period=1,
        Statistics=["Maximum"],
    )["Datapoints"]
    newest = max(found, key=lambda one: one["Timestamp"], default=None)
    if newest is None:
        return judge(None, 0.0, service)
    return judge((now - newest["Timestamp"]).total_seconds(), newest["Maximum"], service)


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
