"""The scaling arithmetic, in one place: the metric publishes it, the local group and the simulator act on it.

Backlog per instance follows the EC2 Auto Scaling user guide, "Scaling policy based on Amazon SQS", with two changes.
Messages in flight count, because a terminated machine takes them with it. And the divisor is the desired capacity,
because booting machines will work soon: divided by the running ones, the metric would ask for them a second time.
"""

import math
from dataclasses import dataclass

# No machine is ever this far behind; up to here, floats still tell one message from none.
_TARGET_AT_MOST = 1_000_000


class BadSetting(ValueError):
    """An impossible setting; the text names it, its value and what it has to be."""


@dataclass(frozen=True, slots=True)
class Values:
    """Both metrics as published, in messages; the first is per instance."""

    backlog_per_instance: float
    backlog_without_capacity: float


def backlog(visible: int, in_flight: int) -> int:
    """Return how many messages are unfinished: those waiting, and those a machine holds."""
    return _count("visible", visible) + _count("in flight", in_flight)


def values(backlog: int | None, desired: int | None, target: float) -> Values:
    """Return what to publish for a backlog in messages and a desired capacity, which counts pending machines.

    With work and no machine the first value is above the target, so that it alarms however little work there is;
    without work it is a real 0, because only that lets the group shrink to 0. None means the number could not be read:
    then the values change nothing, unless work may be waiting without a machine. Raise BadSetting for an impossible
    target.
    """
    positive("BACKLOG_TARGET", target, _TARGET_AT_MOST)
    if backlog is None or desired is None:
        return _careful(backlog, desired, target)
    if not _count("backlog", backlog):
        return Values(0.0, 0.0)
    if not _count("desired", desired):
        return Values(max(float(backlog), target + 1), float(backlog))
    return Values(backlog / desired, 0.0)


def acceptable(latency_seconds: float, service_seconds: float) -> float:
    """Return the acceptable backlog per instance: what one machine finishes within the acceptable latency.

    `service_seconds` is the mean time a busy machine takes per message: 1 / (photos per second). The result is the
    target of target tracking; no machine can have less than one message, so it is at least 1.
    """
    positive("acceptable latency", latency_seconds)
    positive("mean service time", service_seconds)
    return max(1.0, latency_seconds / service_seconds)


def positive(name: str, value: float, at_most: float = math.inf) -> None:
    """Raise BadSetting unless the value is a number above 0 and not above `at_most`."""
    if not (math.isfinite(value) and 0 < value <= at_most):
        upper = "" if at_most == math.inf else f" and at most {at_most:,}"
        raise BadSetting(f"{name} is {value!r}: it has to be a number above 0{upper}.")


def _careful(backlog: int | None, desired: int | None, target: float) -> Values:
    """Return values that are safe while the queue, the group or both cannot be read.

    The target itself trips neither the high nor the low alarm: the group stays as it is. But a stranded photo is worse
    than an idle machine, so a group that is, or may be, at 0 gets a first one.
    """
    if backlog == 0:
        return Values(0.0, 0.0)  # Without work the size does not matter.
    if desired == 0:
        return Values(target + 1, 1.0)
    if backlog and desired is None:
        return Values(target, 1.0)  # At most one more per warm-up, while there is work.
    return Values(target, 0.0)


def _count(name: str, number: int) -> int:
    if number < 0:
        raise BadSetting(f"{name} is {number}: the number of messages or machines can't be negative.")
    return number
