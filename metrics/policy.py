"""Decide how many machines the group should have, as EC2 Auto Scaling does. The caller brings the time and the points.

After the EC2 Auto Scaling user guide: target tracking, step scaling, default instance warmup. Where it is silent, the
choice here is the careful one, and a comment says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from metrics.backlog import BadSetting, positive
from metrics.evaluation import AlarmState, Periods, Point


@dataclass(frozen=True, slots=True)
class Points:
    """The points of both metrics; points older than the longest alarm do no harm."""

    backlog_per_instance: Sequence[Point] = ()
    backlog_without_capacity: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """A group's capacity, in machines. `desired` includes the `warming`: those launched less than a warm-up ago."""

    desired: int
    minimum: int
    maximum: int
    warming: int = 0
    # When the desired capacity last changed, in seconds. Points from before describe a group of another size.
    changed_at: float = -math.inf

    def __post_init__(self) -> None:
        """Raise BadSetting for impossible numbers."""
        if not 0 <= self.minimum <= self.maximum:
            raise BadSetting(f"minimum {self.minimum}, maximum {self.maximum}: 0 <= minimum <= maximum is required.")
        if self.desired < 0:
            raise BadSetting(f"desired is {self.desired}: the number of machines can't be negative.")


@dataclass(frozen=True, slots=True)
class TargetTracking:
    """Keep BacklogPerInstance at a target. `period` is in seconds; the numbers of periods are EC2's, and fixed."""

    target: float
    period: float = 60.0
    high_periods: int = 3
    low_periods: int = 15
    low_fraction: float = 0.9
    scale_in: bool = True

    def __post_init__(self) -> None:
        """Raise BadSetting for an impossible target or period."""
        positive("target (BACKLOG_TARGET)", self.target)
        positive("period", self.period)
        positive("high_periods", self.high_periods)
        positive("low_periods", self.low_periods)
        positive("low_fraction", self.low_fraction, 1)


@dataclass(frozen=True, slots=True)
class Step:
    """Add `change` machines once the value is `above` the threshold by this much."""

    above: float
    change: int


@dataclass(frozen=True, slots=True)
class StepScaling:
    """Leave 0: add machines in steps while BacklogWithoutCapacity is above the threshold."""

    threshold: float = 0.0
    period: float = 30.0
    periods: int = 1
    steps: Sequence[Step] = (Step(0, 1),)

    def __post_init__(self) -> None:
        """Raise BadSetting for impossible periods."""
        positive("period of the step policy", self.period)
        positive("periods of the step policy", self.periods)


@dataclass(frozen=True, slots=True)
class Policies:
    """The group's two policies. A machine counts as warming for `warmup` seconds after its launch."""

    tracking: TargetTracking
    first: StepScaling | None = field(default_factory=StepScaling)
    warmup: float = 180.0


@dataclass(frozen=True, slots=True)
class Decision:
    """The new desired capacity, why, and the states of the alarms behind it."""

    desired: int
    why: str
    high: AlarmState
    low: AlarmState
    first: AlarmState


def decide(policies: Policies, points: Points, capacity: Capacity, now: float) -> Decision:
    """Return what the policies want. If they disagree, the larger capacity wins; minimum and maximum bound it."""
    tracking, first = policies.tracking, policies.first
    load = Periods(points.backlog_per_instance, tracking.period, now, capacity.changed_at)
    idle = Periods(points.backlog_without_capacity, first.period if first else 60.0, now, capacity.changed_at)
    high = load.state(tracking.high_periods, lambda value: value > tracking.target)
    low = load.state(tracking.low_periods, lambda value: value < tracking.target * tracking.low_fraction)
    waiting = idle.state(first.periods, lambda value: value > first.threshold) if first else AlarmState.OK
    unchanged = (capacity.desired, "no alarm asks for a change")
    wanted = []
    if high is AlarmState.ALARM and load.fresh:
        wanted.append(_out(tracking, capacity, load.fresh[-1]))
    if low is AlarmState.ALARM and load.fresh and tracking.scale_in:
        wanted.append(_in(tracking, capacity, max(load.fresh[-tracking.low_periods :])))
    if waiting is AlarmState.ALARM and idle.fresh and first:
        wanted.append(_first(first, capacity, idle.fresh[-1]))
    desired, why = max(wanted, key=lambda one: one[0], default=unchanged)
    bounded = min(max(desired, capacity.minimum), capacity.maximum)
    if bounded != desired:
        why += f"; bounded to {capacity.minimum}..{capacity.maximum}"
    return Decision(bounded, why, high, low, waiting)


def _out(tracking: TargetTracking, capacity: Capacity, value: float) -> tuple[int, str]:
    """Scale in proportion, rounded up; from 0, where any proportion is 0, to one machine."""
    wanted = max(1, _ceil(capacity.desired * value / tracking.target), capacity.desired)
    return wanted, f"high alarm: {value:g} per instance, target {tracking.target:g}"


def _in(tracking: TargetTracking, capacity: Capacity, value: float) -> tuple[int, str]:
    """Keep enough machines to hold even the highest of the low values at the target; wait while one warms up."""
    if capacity.warming:
        return capacity.desired, f"low alarm waits for {capacity.warming} warming machines"
    wanted = min(capacity.desired, _ceil(capacity.desired * value / tracking.target))
    return wanted, f"low alarm: at most {value:g} per instance, target {tracking.target:g}"


def _first(first: StepScaling, capacity: Capacity, value: float) -> tuple[int, str]:
    """Add to the warm machines only, so that an alarm which stays on while one warms up adds just that one."""
    reached = [step.change for step in first.steps if value >= first.threshold + step.above]
    wanted = max(capacity.desired, capacity.desired - capacity.warming + (reached[-1] if reached else 0))
    return wanted, f"{value:g} waiting without capacity"


def _ceil(number: float) -> int:
    # 3 * (100 / 3) / 10 is slightly above 10 in floats: no reason for an eleventh machine.
    return math.ceil(round(number, 6))
