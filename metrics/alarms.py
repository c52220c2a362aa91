"""Evaluate CloudWatch alarms: N of N periods beyond a threshold, after the CloudWatch user guide, "Using alarms".

Missing data are "missing", as for the alarms of target tracking: none at all are INSUFFICIENT_DATA, some are left out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

# CloudWatch looks so many periods further back for points that are late or missing.
_PERIODS_MORE = 2


class Alarm(StrEnum):
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
    """Points as an alarm sees them: the average of each whole period, those of late ones within a little more time."""

    def __init__(self, points: Sequence[Point], period: float, now: float, changed_at: float) -> None:
        self._by_period = _averages(points, period, now)
        self._last = math.floor(now / period) - 1
        # The clock was set back, if the change is yet to come: then all points count.
        since = changed_at if changed_at <= now else -math.inf
        #: Averages of what was measured since the last change of capacity, oldest first.
        self.fresh = list(_averages([point for point in points if point.at > since], period, now).values())

    def alarm(self, periods: int, breaches: Callable[[float], bool]) -> Alarm:
        """Return ALARM if the newest `periods` values all breach; missing ones are made up for by those before.

        Where even with those there are fewer, as many as there are decide, if the oldest of them is old enough.
        """
        oldest = self._last - periods - _PERIODS_MORE + 1
        found = [(index, value) for index, value in self._by_period.items() if index >= oldest][-periods:]
        if found and not all(breaches(value) for _, value in found):
            return Alarm.OK
        long_enough = len(found) == periods or (found and found[0][0] <= self._last - periods + 1)
        return Alarm.ALARM if long_enough else Alarm.INSUFFICIENT_DATA


def _averages(points: Sequence[Point], period: float, now: float) -> dict[int, float]:
    """Return the averages of whole periods by their number, oldest first."""
    whole: dict[int, list[float]] = {}
    for point in points:
        index = math.floor(point.at / period)
        if (index + 1) * period <= now:
            whole.setdefault(index, []).append(point.value)
    return {index: sum(found) / len(found) for index, found in sorted(whole.items())}
