"""Evaluate an alarm as CloudWatch does: N of N periods beyond a threshold (user guide, "Using CloudWatch alarms").

Missing data count as "missing", as in the alarms of target tracking: without any data the state is INSUFFICIENT_DATA,
single gaps are skipped.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

# CloudWatch looks this many periods further back for points that are late or missing.
_EXTRA_PERIODS = 2


class AlarmState(StrEnum):
    """The states of a CloudWatch alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Point:
    """A published value. `at` is in seconds on the clock of `now`."""

    at: float
    value: float


class Periods:
    """Points as an alarm sees them: the average of each complete period."""

    def __init__(self, points: Sequence[Point], period: float, now: float, changed_at: float) -> None:
        self._points, self._period, self._now, self._changed_at = points, period, now, changed_at
        self._by_period = _averages(points, period, now)
        self._last = math.floor(now / period) - 1

    @cached_property
    def fresh(self) -> Sequence[float]:
        """Averages of what was measured since the capacity last changed, oldest first."""
        # A change in the future means that the clock was set back: then all points count.
        since = self._changed_at if self._changed_at <= self._now else -math.inf
        points = [point for point in self._points if point.at > since]
        return list(_averages(points, self._period, self._now).values())

    def state(self, periods: int, breaches: Callable[[float], bool]) -> AlarmState:
        """Return ALARM if the newest `periods` values all breach; earlier values stand in for missing ones.

        If there are still too few, those that exist decide, provided the oldest is old enough.
        """
        oldest = self._last - periods - _EXTRA_PERIODS + 1
        found = [(index, value) for index, value in self._by_period.items() if index >= oldest][-periods:]
        if found and not all(breaches(value) for _, value in found):
            return AlarmState.OK
        long_enough = len(found) == periods or (found and found[0][0] <= self._last - periods + 1)
        return AlarmState.ALARM if long_enough else AlarmState.INSUFFICIENT_DATA


def _averages(points: Sequence[Point], period: float, now: float) -> dict[int, float]:
    """Return the averages of complete periods by their number, oldest first."""
    whole: dict[int, list[float]] = {}
    for point in points:
        index = math.floor(point.at / period)
        if (index + 1) * period <= now:
            whole.setdefault(index, []).append(point.value)
    return {index: sum(found) / len(found) for index, found in sorted(whole.items())}
