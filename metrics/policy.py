"""Decide how many machines the group should have, as EC2 Auto Scaling does. The caller brings the time and the points.

After the EC2 Auto Scaling user guide: target tracking, step scaling, default instance warmup. Where it is silent, the
choice here is the careful one, and a comment says so.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from metrics.backlog import BACKLOG, IN_FLIGHT, IN_FLIGHT_TARGET, WITHOUT_CAPACITY, BadSetting, positive
from metrics.evaluation import AlarmState, Periods, Point

# People wait for the first machine: its alarm has the shortest period there is, so that it sees a point at once.
_FIRST_PERIOD_SECONDS = 10.0
# How often the metrics come, and how long a new machine counts as warming, unless the stack says otherwise.
PERIOD_SECONDS, WARMUP_SECONDS = 30.0, 180.0
# How many machines the steps from 0 start at most; EC2 allows 20 steps.
STEPS = 10
# The points of each metric by its name; points older than the longest alarm do no harm.
Points = Mapping[str, Sequence[Point]]


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
    """Keep a metric at a target. `period` is in seconds; the numbers of periods are EC2's, and fixed."""

    target: float
    period: float = PERIOD_SECONDS
    metric: str = BACKLOG
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
    """Add machines in steps while a metric is above a threshold; the last step that is reached counts."""

    steps: Sequence[Step] = (Step(0, 1),)
    threshold: float = 0.0
    period: float = PERIOD_SECONDS
    periods: int = 1
    metric: str = WITHOUT_CAPACITY

    def __post_init__(self) -> None:
        """Raise BadSetting for impossible periods."""
        positive("period of the step policy", self.period)
        positive("periods of the step policy", self.periods)


@dataclass(frozen=True, slots=True)
class Policies:
    """A group's policies. A machine counts as warming for `warmup` seconds after its launch."""

    tracking: Sequence[TargetTracking]
    steps: Sequence[StepScaling] = ()
    warmup: float = WARMUP_SECONDS

    @property
    def periods(self) -> list[float]:
        """Return the periods of all alarms, in seconds."""
        return [*(policy.period for policy in self.tracking), *(policy.period for policy in self.steps)]

    def scaled(self, time_scale: float) -> "Policies":
        """Return the same with periods and warm-up scaled: at 1/15, 30 s become 2 s."""
        return Policies(
            [replace(policy, period=policy.period * time_scale) for policy in self.tracking],
            [replace(policy, period=policy.period * time_scale) for policy in self.steps],
            self.warmup * time_scale,
        )


def shipped(target: float, period: float = PERIOD_SECONDS, warmup: float = WARMUP_SECONDS) -> Policies:
    """Return the policies of the workers' stack with a target of BacklogPerInstance, in photos; times in seconds.

    The first machines come in steps of the same target, as target tracking multiplies and can't leave 0.
    """
    positive("target (BACKLOG_TARGET)", target)
    steps = [Step(number * target, number + 1) for number in range(STEPS)]
    tracking = (TargetTracking(target, period), TargetTracking(IN_FLIGHT_TARGET, period, IN_FLIGHT))
    return Policies(tracking, (StepScaling(steps, period=min(period, _FIRST_PERIOD_SECONDS)),), warmup)


@dataclass(frozen=True, slots=True)
class Decision:
    """The new desired capacity, why, and the state of each alarm by a name such as "BacklogPerInstance high"."""

    desired: int
    why: str
    alarms: Mapping[str, AlarmState]


def decide(policies: Policies, points: Points, capacity: Capacity, now: float) -> Decision:
    """Return what the policies want.

    The largest capacity wins; the group shrinks only if all of target tracking that may shrink it want it to.
    Minimum and maximum bound the result.
    """
    tracked = [_Tracked(policy, points, capacity, now) for policy in policies.tracking]
    stepped = [_Stepped(policy, points, capacity, now) for policy in policies.steps]
    every: list[_Tracked | _Stepped] = [*tracked, *stepped]
    out = [wish for one in every if (wish := one.out())]
    desired, why = max(out or [_all_in(tracked, capacity)], key=lambda wish: wish[0])
    bounded = min(max(desired, capacity.minimum), capacity.maximum)
    if bounded != desired:
        why += f"; bounded to {capacity.minimum}..{capacity.maximum}"
    return Decision(bounded, why, {name: state for one in every for name, state in one.alarms()})


# A desired capacity, and why.
_Wish = tuple[int, str]


class _Tracked:
    """A target tracking policy and its two alarms."""

    def __init__(self, policy: TargetTracking, points: Points, capacity: Capacity, now: float) -> None:
        self._policy, self._capacity = policy, capacity
        self._load = Periods(points.get(policy.metric, ()), policy.period, now, capacity.changed_at)
        self._high = self._load.state(policy.high_periods, lambda value: value > policy.target)
        self._low = self._load.state(policy.low_periods, lambda value: value < policy.target * policy.low_fraction)

    @property
    def may_shrink(self) -> bool:
        return self._policy.scale_in

    def alarms(self) -> Iterator[tuple[str, AlarmState]]:
        yield f"{self._policy.metric} high", self._high
        yield f"{self._policy.metric} low", self._low

    def out(self) -> _Wish | None:
        """Scale in proportion, rounded up; from 0, where any proportion is 0, to one machine."""
        if self._high is not AlarmState.ALARM or not self._load.fresh:
            return None
        value, target = self._load.fresh[-1], self._policy.target
        wanted = max(1, _ceil(self._capacity.desired * value / target), self._capacity.desired)
        return wanted, f"{self._policy.metric} is {value:g}, its target {target:g}"

    def shrink(self) -> _Wish | None:
        """Keep enough machines to hold even the highest of the low values at the target."""
        if self._low is not AlarmState.ALARM or not self._load.fresh:
            return None
        value, target = max(self._load.fresh[-self._policy.low_periods :]), self._policy.target
        wanted = min(self._capacity.desired, _ceil(self._capacity.desired * value / target))
        return wanted, f"{self._policy.metric} is at most {value:g}, its target {target:g}"


class _Stepped:
    """A step scaling policy and its alarm."""

    def __init__(self, policy: StepScaling, points: Points, capacity: Capacity, now: float) -> None:
        self._policy, self._capacity = policy, capacity
        self._waiting = Periods(points.get(policy.metric, ()), policy.period, now, capacity.changed_at)
        self._state = self._waiting.state(policy.periods, lambda value: value > policy.threshold)

    def alarms(self) -> Iterator[tuple[str, AlarmState]]:
        yield self._policy.metric, self._state

    def out(self) -> _Wish | None:
        """Add to the warm machines only, so that an alarm which stays on while some warm up adds just those."""
        if self._state is not AlarmState.ALARM or not self._waiting.fresh:
            return None
        value, capacity = self._waiting.fresh[-1], self._capacity
        reached = [step.change for step in self._policy.steps if value >= self._policy.threshold + step.above]
        wanted = max(capacity.desired, capacity.desired - capacity.warming + (reached[-1] if reached else 0))
        return wanted, f"{self._policy.metric} is {value:g}"


def _all_in(tracked: Sequence[_Tracked], capacity: Capacity) -> _Wish:
    """Scale in if all agree, to the largest of what they want; wait while a machine warms up."""
    wishes = [one.shrink() for one in tracked if one.may_shrink]
    agreed = [wish for wish in wishes if wish]
    if not agreed or len(agreed) < len(wishes):
        return capacity.desired, "no alarm asks for a change"
    if capacity.warming:
        return capacity.desired, f"no machine goes while {capacity.warming} warm up"
    return max(agreed, key=lambda wish: wish[0])


def _ceil(number: float) -> int:
    # 3 * (100 / 3) / 10 is slightly above 10 in floats: no reason for an eleventh machine.
    return math.ceil(round(number, 6))
