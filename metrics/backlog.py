"""The scaling arithmetic, in one place: the metric publishes it, the local group and the simulator act on it.

Backlog per instance follows the EC2 Auto Scaling user guide, "Scaling policy based on Amazon SQS", with two changes.
Messages in flight count, because a terminated machine takes them with it. And the divisor is the desired capacity,
because booting machines will work soon: divided by the running ones, the metric would ask for them a second time.

A standby worker, next to the metric, is a machine that the group doesn't know of. It takes jobs like any other, so what
a machine holds at the targets is no backlog of the group's while it is there.
"""

import math
from dataclasses import dataclass

# The names of the metrics. Scaling policies and alarms name them too.
BACKLOG, IN_FLIGHT, WITHOUT_CAPACITY = "BacklogPerInstance", "InFlightPerInstance", "BacklogWithoutCapacity"
METRICS = (BACKLOG, IN_FLIGHT, WITHOUT_CAPACITY)
# Messages that a machine is to hold on average. It takes 16: with more than 10 it is busy nearly all of the time.
IN_FLIGHT_TARGET = 10.0

# No machine is ever this far behind; up to here, floats still tell one message from none.
TARGET_AT_MOST = 1_000_000
# Of the target: above 90 %, below which target tracking scales in, and below 100 %, above which it scales out.
_KEPT = 0.95


class BadSetting(ValueError):
    """An impossible setting; the text names it, its value and what it has to be."""


@dataclass(frozen=True, slots=True)
class Values:
    """The metrics as published, in messages; the first two are per instance."""

    backlog_per_instance: float
    in_flight_per_instance: float
    backlog_without_capacity: float

    def by_name(self) -> dict[str, float]:
        """Return them by their names in CloudWatch."""
        numbers = (self.backlog_per_instance, self.in_flight_per_instance, self.backlog_without_capacity)
        return dict(zip(METRICS, numbers, strict=True))


# What lets a group shrink to its minimum: nothing to do, or a service that is paused, whatever waits.
IDLE = Values(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Depth:
    """Unfinished messages: those waiting, and those a machine holds."""

    visible: int
    in_flight: int

    def __post_init__(self) -> None:
        """Raise BadSetting for impossible numbers."""
        _count("visible", self.visible)
        _count("in flight", self.in_flight)

    @property
    def unfinished(self) -> int:
        """Return how many messages there are."""
        return self.visible + self.in_flight


def in_use(seconds_since_photo: float | None, keep_warm_seconds: float) -> bool:
    """Return whether people are using the service, so that the group keeps a machine: the next photo comes soon.

    None means that the time of the newest photo could not be read: then the machine stays. With `keep_warm_seconds` 0
    none is ever kept. Raise BadSetting for an impossible KEEP_WARM_SECONDS.
    """
    if not 0 <= keep_warm_seconds < math.inf:
        raise BadSetting(f"KEEP_WARM_SECONDS is {keep_warm_seconds!r}: it has to be a number of seconds, 0 or more.")
    if not keep_warm_seconds:
        return False
    return seconds_since_photo is None or seconds_since_photo < keep_warm_seconds


def values(
    depth: Depth | None, desired: int | None, target: float, keep: bool = False, standby: bool = False
) -> Values:
    """Return what to publish for the queue's depth and a desired capacity, which counts pending machines.

    With work and no machine the first value is above the target, so that it alarms however little work there is;
    without work it is a real 0, because only that lets the group shrink to 0. With `keep` it is at least what a single
    machine neither scales in nor out for, so that a larger group shrinks to one machine and not past it. With a
    `standby` that works, none has to be kept, and only work beyond what that finishes within the goal counts. None
    means the number could not be read: then the values change nothing, unless work may be waiting without a machine.
    Raise BadSetting for an impossible target.
    """
    positive("BACKLOG_TARGET", target, TARGET_AT_MOST)
    keep = keep and not standby
    if depth is None or desired is None:
        return _careful(depth, desired, target, keep)
    unfinished, in_flight = float(depth.unfinished), float(depth.in_flight)
    if standby:
        unfinished, in_flight = max(0.0, unfinished - target), max(0.0, in_flight - IN_FLIGHT_TARGET)
    if not _count("desired", desired):
        return Values(max(unfinished, target + 1), 0.0, unfinished) if unfinished else IDLE
    least = kept(target) if keep else 0.0
    return Values(max(unfinished, least) / desired, in_flight / desired, 0.0)


def kept(target: float) -> float:
    """Return the least backlog that a group in use publishes for all of its machines, so that one of them stays."""
    return _KEPT * target


def acceptable(latency_goal_seconds: float, photos_per_second: float) -> float:
    """Return the acceptable backlog per instance: what a busy machine finishes within the goal.

    This is the target of target tracking, unless an operator sets one. A machine can't have less than one photo, so it
    is at least 1. Raise BadSetting for a goal below a photo's time, which no number of machines can keep.
    """
    positive("LATENCY_GOAL_SECONDS", latency_goal_seconds)
    positive("PHOTOS_PER_SECOND", photos_per_second)
    if latency_goal_seconds * photos_per_second < 1:
        raise BadSetting(
            f"LATENCY_GOAL_SECONDS is {latency_goal_seconds:g}, but at PHOTOS_PER_SECOND {photos_per_second:g} one "
            f"photo takes {1 / photos_per_second:g} s: raise the goal, or choose faster machines."
        )
    return min(latency_goal_seconds * photos_per_second, TARGET_AT_MOST)


def positive(name: str, value: float, at_most: float = math.inf) -> None:
    """Raise BadSetting unless the value is a number above 0 and not above `at_most`."""
    if not (math.isfinite(value) and 0 < value <= at_most):
        upper = "" if at_most == math.inf else f" and at most {at_most:,}"
        raise BadSetting(f"{name} is {value!r}: it has to be a number above 0{upper}.")


def _careful(depth: Depth | None, desired: int | None, target: float, keep: bool) -> Values:
    """Return values that are safe while the queue, the group or both cannot be read.

    The targets themselves trip neither the high nor the low alarms: the group stays as it is. But a stranded photo is
    worse than an idle machine, so a group that is, or may be, at 0 gets a first one.
    """
    if depth and not depth.unfinished:
        # Without work the size does not matter, unless a machine is to be kept.
        return Values(target if keep else 0.0, 0.0, 0.0)
    if desired == 0:
        return Values(target + 1, IN_FLIGHT_TARGET, 1.0)
    # With work and an unknown size: at most one more per warm-up, while there is work.
    return Values(target, IN_FLIGHT_TARGET, 1.0 if depth and desired is None else 0.0)


def _count(name: str, number: int) -> int:
    if number < 0:
        raise BadSetting(f"{name} is {number}: the number of messages or machines can't be negative.")
    return number
