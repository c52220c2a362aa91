"""Read the scaling policies deployed for a group, and their alarms, as metrics/policy.py's types."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botsite import aws
from metrics.evaluation import Point
from metrics.policy import Policies, Step, StepScaling, TargetTracking


class NotEmulated(Exception):
    """AWS would carry out this policy, but the emulation cannot; the text says which ones it can."""


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric, and the statistic of it that a policy uses."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str

    def points(self, seconds: float) -> list[Point]:
        """Return the points published in the last `seconds`, at most one a second, oldest first."""
        now = datetime.now(UTC)
        answer = aws.client("cloudwatch").get_metric_statistics(
            Namespace=self.namespace,
            MetricName=self.name,
            Dimensions=[{"Name": name, "Value": value} for name, value in self.dimensions],
            StartTime=now - timedelta(seconds=seconds),
            EndTime=now + timedelta(seconds=1),
            Period=1,
            Statistics=[self.statistic],
        )
        found = [Point(one["Timestamp"].timestamp(), one[self.statistic]) for one in answer["Datapoints"]]
        return sorted(found, key=lambda point: point.at)


@dataclass(frozen=True)
class Deployed:
    """A group's policies and their metrics; periods and warm-up are in seconds of AWS."""

    policies: Policies
    load: Metric
    waiting: Metric | None

    def scaled(self, time_scale: float) -> "Deployed":
        """Return the same with periods and warm-up scaled: at 1/15, 30 s become 2 s."""
        tracking, first = self.policies.tracking, self.policies.first
        policies = Policies(
            replace(tracking, period=tracking.period * time_scale),
            first and replace(first, period=first.period * time_scale),
            self.policies.warmup * time_scale,
        )
        return replace(self, policies=policies)


def of(group_name: str) -> Deployed | None:
    """Return a group's policies, None if it has none. Raise NotEmulated for any that cannot be emulated."""
    answer = aws.client("autoscaling").describe_policies(AutoScalingGroupName=group_name)["ScalingPolicies"]
    found = [policy for policy in answer if policy.get("Enabled", True)]
    if not found:
        return None
    tracking = [policy for policy in found if policy["PolicyType"] == "TargetTrackingScaling"]
    steps = [policy for policy in found if policy["PolicyType"] == "StepScaling"]
    if len(tracking) != 1 or len(steps) > 1 or len(found) > 2:
        raise NotEmulated(
            f"{group_name} has the policies {', '.join(policy['PolicyName'] for policy in found)}; only one of target "
            "tracking, alone or with one of step scaling, is emulated"
        )
    alarms = _alarms()
    warmup = max(float(policy.get("EstimatedInstanceWarmup", 0)) for policy in found)
    try:
        load, wanted = _tracking(tracking[0], alarms)
        first, waiting = _first(steps[0], alarms) if steps else (None, None)
    except KeyError as missing:
        raise NotEmulated(
            f"a policy or an alarm of {group_name} has no {missing}: only metrics given by name are emulated"
        ) from missing
    return Deployed(Policies(wanted, first, warmup), load, waiting)


def _alarms() -> list[dict[str, Any]]:
    pages = aws.client("cloudwatch").get_paginator("describe_alarms").paginate()
    return [alarm for page in pages for alarm in page["MetricAlarms"]]


def _tracking(policy: Mapping[str, Any], alarms: list[dict[str, Any]]) -> tuple[Metric, TargetTracking]:
    configuration = policy["TargetTrackingConfiguration"]
    metric = configuration["CustomizedMetricSpecification"]
    target = configuration["TargetValue"]
    # EC2 makes the policy's alarms, and nobody can choose how many periods they have.
    own = [alarm for alarm in alarms if policy["PolicyARN"] in alarm["AlarmActions"]]
    high = next((alarm for alarm in own if alarm["ComparisonOperator"].startswith("Greater")), None)
    low = next((alarm for alarm in own if alarm["ComparisonOperator"].startswith("Less")), None)
    tracking = TargetTracking(target, float(metric.get("Period", 60)), scale_in=not configuration["DisableScaleIn"])
    if high:
        tracking = replace(tracking, high_periods=high["EvaluationPeriods"])
    if low:
        tracking = replace(tracking, low_periods=low["EvaluationPeriods"], low_fraction=low["Threshold"] / target)
    return _metric(metric), tracking


def _first(policy: Mapping[str, Any], alarms: list[dict[str, Any]]) -> tuple[StepScaling | None, Metric | None]:
    alarm = next((alarm for alarm in alarms if policy["PolicyARN"] in alarm["AlarmActions"]), None)
    if alarm is None:
        # As on AWS, a policy does nothing without an alarm.
        return None, None
    if policy["AdjustmentType"] != "ChangeInCapacity" or alarm["ComparisonOperator"] != "GreaterThanThreshold":
        raise NotEmulated(
            f"{policy['PolicyName']} does {policy['AdjustmentType']} at {alarm['ComparisonOperator']}: "
            "only ChangeInCapacity at GreaterThanThreshold is emulated"
        )
    steps = sorted(
        (step.get("MetricIntervalLowerBound", 0.0), step["ScalingAdjustment"]) for step in policy["StepAdjustments"]
    )
    first = StepScaling(
        threshold=alarm["Threshold"],
        period=float(alarm["Period"]),
        periods=alarm["EvaluationPeriods"],
        steps=tuple(Step(above, change) for above, change in steps),
    )
    return first, _metric(alarm)


def _metric(described: Mapping[str, Any]) -> Metric:
    dimensions = tuple((one["Name"], one["Value"]) for one in described.get("Dimensions", []))
    return Metric(described["Namespace"], described["MetricName"], dimensions, described["Statistic"])
