"""Read the scaling policies deployed for a group, and their alarms, as metrics/policy.py's types."""

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
    found = [policy for policy in cloudwatch.policies(group_name) if policy.enabled]
    if not found:
        return None
    tracking = [policy for policy in found if isinstance(policy, TrackingPolicy)]
    steps = [policy for policy in found if isinstance(policy, StepPolicy)]
    if len(tracking) != 1 or len(steps) > 1 or len(found) != len(tracking) + len(steps):
        raise NotEmulated(
            f"{group_name} has the policies {', '.join(policy.name for policy in found)}; only one of target "
            "tracking, alone or with one of step scaling, is emulated"
        )
    if tracking[0].metric is None:
        raise NotEmulated(f"{tracking[0].name} names no metric: only metrics given by name are emulated")
    alarms = cloudwatch.alarms()
    first, waiting = _first(steps[0], alarms) if steps else (None, None)
    wanted = Policies(_tracking(tracking[0], alarms), first, max(policy.warmup for policy in found))
    return Deployed(wanted, tracking[0].metric, waiting)


def points(metric: Metric, seconds: float) -> list[Point]:
    """Return the points published in the last `seconds`, at most one a second, oldest first."""
    [found] = cloudwatch.points([metric], datetime.now(UTC) - timedelta(seconds=seconds))
    return list(found)


def _tracking(policy: TrackingPolicy, alarms: list[Alarm]) -> TargetTracking:
    # EC2 makes the policy's alarms, and nobody can choose how many periods they have.
    own = [alarm for alarm in alarms if policy.arn in alarm.actions]
    high = next((alarm for alarm in own if alarm.comparison.startswith("Greater")), None)
    low = next((alarm for alarm in own if alarm.comparison.startswith("Less")), None)
    tracking = TargetTracking(policy.target, policy.period, scale_in=policy.scale_in)
    if high:
        tracking = replace(tracking, high_periods=high.periods)
    if low:
        tracking = replace(tracking, low_periods=low.periods, low_fraction=low.threshold / policy.target)
    return tracking


def _first(policy: StepPolicy, alarms: list[Alarm]) -> tuple[StepScaling | None, Metric | None]:
    alarm = next((alarm for alarm in alarms if policy.arn in alarm.actions), None)
    if alarm is None:
        # As on AWS, a policy does nothing without an alarm.
        return None, None
    if policy.adjustment != "ChangeInCapacity" or alarm.comparison != "GreaterThanThreshold":
        raise NotEmulated(
            f"{policy.name} does {policy.adjustment} at {alarm.comparison}: "
            "only ChangeInCapacity at GreaterThanThreshold is emulated"
        )
    first = StepScaling(
        threshold=alarm.threshold,
        period=alarm.period,
        periods=alarm.periods,
        steps=tuple(Step(above, change) for above, change in policy.steps),
    )
    return first, alarm.metric
