"""Read the scaling policies deployed for a group, and their alarms, as metrics/policy.py's types."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from metrics import cloudwatch
from metrics.cloudwatch import Alarm, Metric, StepPolicy, TrackingPolicy
from metrics.evaluation import Point
from metrics.policy import Policies, Step, StepScaling, TargetTracking


class NotEmulated(Exception):
    """AWS would carry out this policy, but the emulation cannot; the text says which ones it can."""


@dataclass(frozen=True)
class Deployed:
    """A group's policies, and the metric behind each name in them; periods and warm-up are in seconds of AWS."""

    policies: Policies
    metrics: Mapping[str, Metric]


def of(group_name: str) -> Deployed | None:
    """Return a group's policies, None if it has none. Raise NotEmulated for any that cannot be emulated."""
    found = [policy for policy in cloudwatch.policies(group_name) if policy.enabled]
    if not found:
        return None
    alarms = cloudwatch.alarms()
    tracking, steps, metrics = [], [], []
    for policy in found:
        alarm = next((alarm for alarm in alarms if policy.arn in alarm.actions), None)
        if isinstance(policy, TrackingPolicy) and policy.metric:
            tracking.append(_tracking(policy, policy.metric, alarms))
            metrics.append(policy.metric)
        elif isinstance(policy, StepPolicy) and alarm:
            steps.append(_steps(policy, alarm))
            metrics.append(alarm.metric)
        elif not isinstance(policy, StepPolicy):
            # A step policy without an alarm does nothing, on AWS too.
            raise NotEmulated(
                f"{group_name} has the policy {policy.name}; only step scaling and target tracking of metrics given by "
                "name are emulated"
            )
    wanted = Policies(tracking, steps, max(policy.warmup for policy in found))
    return Deployed(wanted, {metric.name: metric for metric in metrics})


def points(metric: Metric, seconds: float) -> list[Point]:
    """Return the points published in the last `seconds`, at most one a second, oldest first."""
    [found] = cloudwatch.points([metric], datetime.now(UTC) - timedelta(seconds=seconds))
    return list(found)


def _tracking(policy: TrackingPolicy, metric: Metric, alarms: list[Alarm]) -> TargetTracking:
    # EC2 makes the policy's alarms, and nobody can choose how many periods they have.
    own = [alarm for alarm in alarms if policy.arn in alarm.actions]
    high = next((alarm for alarm in own if alarm.comparison.startswith("Greater")), None)
    low = next((alarm for alarm in own if alarm.comparison.startswith("Less")), None)
    tracking = TargetTracking(policy.target, policy.period, metric.name, scale_in=policy.scale_in)
    if high:
        tracking = replace(tracking, high_periods=high.periods)
    if low:
        tracking = replace(tracking, low_periods=low.periods, low_fraction=low.threshold / policy.target)
    return tracking


def _steps(policy: StepPolicy, alarm: Alarm) -> StepScaling:
    if policy.adjustment != "ChangeInCapacity" or alarm.comparison != "GreaterThanThreshold":
        raise NotEmulated(
            f"{policy.name} does {policy.adjustment} at {alarm.comparison}: "
            "only ChangeInCapacity at GreaterThanThreshold is emulated"
        )
    return StepScaling(
        steps=tuple(Step(above, change) for above, change in policy.steps),
        threshold=alarm.threshold,
        period=alarm.period,
        periods=alarm.periods,
        metric=alarm.metric.name,
    )
