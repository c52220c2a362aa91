"""When photos arrive, as sorted arrays of seconds from the start: constant, burst, daily wave or a recorded trace."""

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.backlog import BadSetting, positive

Seconds = NDArray[np.float64]

DAY = 86_400.0
# 24 bytes per photo, in three arrays.
PHOTOS_AT_MOST = 50_000_000
_STEPS_A_DAY = 1440
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|min|h|day)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": DAY}


def per_second(rate: str) -> float:
    """Return the photos per second of a rate such as 5/s, 90/min, 2000/h or 100000/day."""
    found = _RATE.fullmatch(rate.replace(" ", ""))
    if not found:
        raise BadSetting(f"rate {rate!r} is not a number of photos per s, min, h or day, such as 90/min.")
    return float(found[1]) / _SECONDS[found[2]]


def constant(rate: float, seconds: float, rng: np.random.Generator) -> Seconds:
    """Return photos from many independent people (a Poisson process), `rate` per second."""
    number = rng.poisson(_number("rate", rate, seconds))
    return np.sort(rng.uniform(0, seconds, number))


def burst(photos: int, over_seconds: float, rng: np.random.Generator) -> Seconds:
    """Return this many photos within the first `over_seconds`; 0 is all at once."""
    if not 0 <= over_seconds < math.inf:
        raise BadSetting(f"burst length is {over_seconds!r}: it has to be 0 s or more.")
    _number("photos of the burst", photos, 1)
    return np.sort(rng.uniform(0, over_seconds, photos))


def wave(rate: float, seconds: float, rng: np.random.Generator) -> Seconds:
    """Return photos at a rate per second that swings daily between 0 (at the start and midnight) and twice its mean."""
    number = rng.poisson(_number("rate", rate, seconds))
    edges = np.linspace(0, seconds, max(2, math.ceil(seconds / DAY * _STEPS_A_DAY) + 1))
    # The integral of 1 - cos: the share of the photos that has arrived by then.
    arrived = edges - DAY / (2 * math.pi) * np.sin(2 * math.pi * edges / DAY)
    return np.sort(np.interp(rng.uniform(0, arrived[-1], number), arrived, edges))


def trace(file: Path) -> Seconds:
    """Return the photos of a CSV file with the columns `seconds` and, optionally, `photos` (how many arrive then).

    The first photo is at 0. Raise BadSetting naming the bad line.
    """
    try:
        with file.open(newline="") as lines:
            rows = list(_rows(file, lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadSetting(f"The trace {file} cannot be read: {error}") from error
    if not rows:
        raise BadSetting(f"The trace {file} has no photos.")
    at, photos = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    _number(f"photos in {file}", float(photos.sum()), 1)
    times = np.sort(np.repeat(at, photos))
    return times - times[0]


def _rows(file: Path, lines: Iterator[str]) -> Iterator[tuple[float, int]]:
    reader = csv.DictReader(lines)
    if "seconds" not in (reader.fieldnames or []):
        raise BadSetting(f"The trace {file} has no column `seconds` in its first line: {reader.fieldnames}.")
    for row in reader:
        try:
            at, photos = float(row["seconds"]), int(row.get("photos") or 1)
        except (TypeError, ValueError) as error:
            raise BadSetting(f"{file}, line {reader.line_num}: {error}.") from error
        if not math.isfinite(at) or photos < 0:
            raise BadSetting(f"{file}, line {reader.line_num}: {at!r} seconds, {photos} photos: impossible.")
        if photos:
            yield at, photos


def _number(name: str, rate: float, seconds: float) -> float:
    """Return rate x time. Raise BadSetting if that many photos would not fit into memory."""
    positive(name, rate)
    positive("time", seconds)
    positive(f"number of photos ({name} x time)", rate * seconds, PHOTOS_AT_MOST)
    return rate * seconds
