"""Say when photos are sent, in seconds after the start: in one burst, constantly, in a wave, or as a trace has it."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.loadtest.errors import LoadTestError
from metrics.backlog import BadSetting
from metrics.simulator import arrivals


def burst(photos: int, rate: float) -> list[float]:
    """Return one moment for all; `rate` does not matter."""
    return [0.0] * photos


def constant(photos: int, rate: float) -> list[float]:
    """Return moments with the same time between them, `rate` in a second."""
    return [number / rate for number in range(photos)]


def wave(photos: int, rate: float) -> list[float]:
    """Return moments that begin seldom, come at twice the rate in the middle, and end seldom: `rate` on average."""
    length = photos / rate
    return [_inverse(lambda at: rate * _wave_until(at, length), number + 0.5, length) for number in range(photos)]


SHAPES: Mapping[str, Callable[[int, float], list[float]]] = {"burst": burst, "constant": constant, "wave": wave}


def trace(file: Path) -> list[float]:
    """Return the moments of a CSV with the columns seconds,photos, as `simulate_scaling` reads it."""
    try:
        return [float(moment) for moment in arrivals.trace(file)]
    except BadSetting as error:
        raise LoadTestError(str(error)) from error


def _wave_until(at: float, length: float) -> float:
    """Return how many seconds of the average rate have come by then: the integral of 1 - cos."""
    return at - length / math.tau * math.sin(math.tau * at / length)


def _inverse(rising: Callable[[float], float], value: float, highest: float) -> float:
    """Return where a rising function has the value, between 0 and `highest`, within a thousandth."""
    low, high = 0.0, highest
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return low
