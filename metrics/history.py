"""Read what was published over the last hours, and the target that the deployed policy holds it against."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from metrics.alarms import Point
from metrics.cloudwatch import MetricFailed, naming

HOURS = 3
# CloudWatch keeps points by the second for three hours, by its own clock.
_SPAN = timedelta(hours=HOURS) - timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class History:
    """BacklogPerInstance of the last hours, oldest first, `at` in epoch seconds; and the target of its policy."""

    points: tuple[Point, ...]
    target: float


def read() -> History:
    """Return what target tracking looks at, asked for as it asks; raise MetricFailed."""
    with naming("ASG_NAME") as group:
        tracking = _tracking(group)
        metric = tracking["CustomizedMetricSpecification"]
        return History(_points(metric), float(tracking["TargetValue"]))


def _tracking(group: str) -> dict[str, Any]:
    """Return the group's target tracking, the one place that says which metric and target are in force."""
    answer = aws.client("autoscaling").describe_policies(
        AutoScalingGroupName=group, PolicyTypes=["TargetTrackingScaling"]
    )
    found = [policy.get("TargetTrackingConfiguration", {}) for policy in answer["ScalingPolicies"]]
    for tracking in found:
        if "CustomizedMetricSpecification" in tracking:
            return dict(tracking)
    raise MetricFailed("ASG_NAME", f"{group} has no target tracking on a metric of ours: provision the workers again.")


def _points(metric: dict[str, Any]) -> tuple[Point, ...]:
    now = datetime.now(UTC)
    named = {"Namespace": metric["Namespace"], "MetricName": metric["MetricName"], "Dimensions": metric["Dimensions"]}
    # By the second, so that the newest point says when it was published; there is one each 30 s all the same.
    query = {"Id": "backlog", "MetricStat": {"Metric": named, "Period": 1, "Stat": "Average"}}
    pages = (
        aws.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=[query],
            StartTime=now - _SPAN,
            EndTime=now + timedelta(seconds=1),
            ScanBy="TimestampAscending",
        )
    )
    results = [result for page in pages for result in page["MetricDataResults"]]
    pairs = [pair for result in results for pair in zip(result["Timestamps"], result["Values"], strict=True)]
    return tuple(Point(at.timestamp(), value) for at, value in pairs)
