"""Whether the metric comes that the group of workers scales by."""

from datetime import UTC, datetime, timedelta

from botsite import aws
from deploy.doctor.findings import Verdict, failed, ok
from deploy.doctor.place import Place
from metrics import cloudwatch

_LOOK_BACK = timedelta(minutes=20)


def check(place: Place) -> Verdict:
    """Ask CloudWatch for the newest point of BacklogPerInstance."""
    workers = place.stack("workers").outputs
    now = datetime.now(UTC)
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace=workers["MetricNamespace"],
        MetricName="BacklogPerInstance",
        Dimensions=[{"Name": "AutoScalingGroupName", "Value": workers["Yolo5GroupName"]}],
        StartTime=now - _LOOK_BACK,
        EndTime=now + timedelta(minutes=1),
        # The points are kept by the second, so their time is known by the second; 1440 is the most of an answer.
        Period=1,
        Statistics=["Maximum"],
    )["Datapoints"]
    newest = max(found, key=lambda one: one["Timestamp"], default=None)
    if newest is None:
        return judge(None, 0.0, place.prefix)
    return judge((now - newest["Timestamp"]).total_seconds(), newest["Maximum"], place.prefix)


def judge(age_seconds: float | None, value: float, prefix: str) -> Verdict:
    """Judge the age of the newest point, None if there is none."""
    todo = (
        f"Without it the group neither grows nor shrinks. Read the logs in /{prefix}/metrics; terminate the machine "
        f"of {prefix}-metrics, and the group starts another."
    )
    if age_seconds is None:
        return failed(f"no point of BacklogPerInstance for {_LOOK_BACK.seconds // 60} minutes", todo)
    seen = f"BacklogPerInstance was {value:g}, {max(age_seconds, 0):.0f} s ago"
    return ok(seen) if age_seconds <= cloudwatch.STALE_AFTER_SECONDS else failed(seen, todo)
