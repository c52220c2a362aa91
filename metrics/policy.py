"""Decide how many machines the group should have, as EC2 Auto Scaling does. The caller brings the time and the points.

After the EC2 Auto Scaling user guide: target tracking, step scaling, default instance warmup. What it leaves open is
decided on the careful side, and said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from metrics.alarms import Alarm, Periods, Point
from metrics.backlog import BadSetting, positive


@dataclass(frozen=True, slots=True)
class History:
    """The points of both metrics; those older than the longest alarm do no harm."""

    backlog_per_instance: Sequence[Point] = ()
    backlog_without_capacity: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """The Auto Scaling group. Desired counts the `warming`: machines that were launched less than a warm-up ago."""

    desired: int
    minimum: int
    maximum: int
    warming: int = 0
    # When the desired capacity last changed, seconds. A point from before speaks of another group.
    changed_at: float = -math.inf

    def __post_init__(self) -> None:
        """Raise BadSetting for a group that cannot be."""
        if not 0 <= self.minimum <= self.maximum:
            raise BadSetting(f"minimum {self.minimum}, maximum {self.maximum}: it has to be 0 <= minimum <= maximum.")
        if self.desired < 0:
            raise BadSetting(f"desired is {self.desired}: a number of machines is not below 0.")


@dataclass(frozen=True, slots=True)
class TargetTracking:
    """Keep BacklogPerInstance at a target. Periods are in seconds, and EC2's own; it lets nobody choose the numbers."""

    target: float
    period: float = 60.0
    high_periods: int = 3
    low_periods: int = 15
    low_fraction: float = 0.9
    scale_in: bool = True

    def __post_init__(self) -> None:
        """Raise BadSetting for a target or a period that is none."""
        positive("target (BACKLOG_TARGET)", self.target)
        positive("period", self.period)
        positive("high_periods", self.high_periods)
        positive("low_periods", self.low_periods)
        positive("low_fraction", self.low_fraction, 1)


@dataclass(frozen=True, slots=True)
class Step:
    """Add `change` machines from `above` the threshold on."""

    above: float
    change: int


@dataclass(frozen=True, slots=True)
class StepScaling:
    """Leave 0: add machines by the steps while BacklogWithoutCapacity is above the threshold."""

    threshold: float = 0.0
    period: float = 30.0
    periods: int = 1
    steps: Sequence[Step] = (Step(0, 1),)

    def __post_init__(self) -> None:
        """Raise BadSetting for periods that are none."""
        positive("period of the step policy", self.period)
        positive("periods of the step policy", self.periods)


@dataclass(frozen=True, slots=True)
class Policies:
    """The group's two policies. `warmup`, in seconds, says for how long the caller counts a machine as warming."""

    tracking: TargetTracking
    first: StepScaling | None = field(default_factory=StepScaling)
    warmup: float = 180.0


@dataclass(frozen=True, slots=True)
class Decision:
    """The new desired capacity, why, and the alarms it comes from."""

    desired: int
    why: str
    high: Alarm
    low: Alarm
    first: Alarm


def decide(policies: Policies, history: History, group: Group, now: float) -> Decision:
    """Return what the policies want. If they disagree the larger capacity wins; minimum and maximum bound it."""
    tracking, first = policies.tracking, policies.first
    load = Periods(history.backlog_per_instance, tracking.period, now, group.changed_at)
    idle = Periods(history.backlog_without_capacity, first.period if first else 60.0, now, group.changed_at)
    high = load.alarm(tracking.high_periods, lambda value: value > tracking.target)
    low = load.alarm(tracking.low_periods, lambda value: value < tracking.target * tracking.low_fraction)
    waiting = idle.alarm(first.periods, lambda value: value > first.threshold) if first else Alarm.OK
    unchanged = (group.desired, "no alarm asks for a change")
    wanted = []
    if high is Alarm.ALARM and load.fresh:
        wanted.append(_out(tracking, group, load.fresh[-1]))
    if low is Alarm.ALARM and load.fresh and tracking.scale_in:
        wanted.append(_in(tracking, group, max(load.fresh[-tracking.low_periods :])))
    if waiting is Alarm.ALARM and idle.fresh and first:
        wanted.append(_first(first, group, idle.fresh[-1]))
    desired, why = max(wanted, key=lambda one: one[0], default=unchanged)
    bounded = min(max(desired, group.minimum), group.maximum)
    if bounded != desired:
        why += f"; bounded to {group.minimum}..{group.maximum}"
    return Decision(bounded, why, high, low, waiting)


def _out(tracking: TargetTracking, group: Group, value: float) -> tuple[int, str]:
    """Scale in proportion, rounded up. From 0, in whose proportion is nothing, one machine."""
    wanted = max(1, _ceil(group.desired * value / tracking.target), group.desired)
    return wanted, f"high alarm: {value:g} per instance, target {tracking.target:g}"


def _in(tracking: TargetTracking, group: Group, value: float) -> tuple[int, str]:
    """Leave as many machines as keep even the highest of the low values at the target; none while one warms up."""
    if group.warming:
        return group.desired, f"low alarm waits for {group.warming} warming machines"
    wanted = min(group.desired, _ceil(group.desired * value / tracking.target))
    return wanted, f"low alarm: at most {value:g} per instance, target {tracking.target:g}"


def _first(first: StepScaling, group: Group, value: float) -> tuple[int, str]:
    """Add to the machines that are warm, so that an alarm that goes on while one warms up adds it once."""
    reached = [step.change for step in first.steps if value >= first.threshold + step.above]
    wanted = max(group.desired, group.desired - group.warming + (reached[-1] if reached else 0))
    return wanted, f"{value:g} waiting without capacity"


def _ceil(number: float) -> int:
    # 3 * (100 / 3) / 10 is a little above 10, and is no reason for an eleventh machine.
    return math.ceil(round(number, 6))
