"""When photos arrive, as sorted arrays of seconds from the start: constant, burst, daily wave, or a recorded trace."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.backlog import BadSetting, positive

Seconds = NDArray[np.float64]

DAY = 86_400.0
# 24 bytes a photo, in three arrays.
PHOTOS_AT_MOST = 50_000_000
_STEPS_A_DAY = 1440


def constant(per_second: float, seconds: float, rng: np.random.Generator) -> Seconds:
    """Return photos of many independent people (a Poisson process) at one rate."""
    number = rng.poisson(_number("rate", per_second, seconds))
    return np.sort(rng.uniform(0, seconds, number))


def burst(photos: int, over_seconds: float, rng: np.random.Generator) -> Seconds:
    """Return so many photos within the first `over_seconds`; 0 is all at once."""
    if not 0 <= over_seconds < math.inf:
        raise BadSetting(f"burst length is {over_seconds!r}: it has to be 0 s or more.")
    _number("photos of the burst", photos, 1)
    return np.sort(rng.uniform(0, over_seconds, photos))


def wave(per_second: float, seconds: float, rng: np.random.Generator) -> Seconds:
    """Return photos at a rate that swings daily between 0 (at the start, and each midnight) and twice its mean."""
    number = rng.poisson(_number("rate", per_second, seconds))
    edges = np.linspace(0, seconds, max(2, math.ceil(seconds / DAY * _STEPS_A_DAY) + 1))
    # The integral of 1 - cos: how much of the photos has arrived until then.
    arrived = edges - DAY / (2 * math.pi) * np.sin(2 * math.pi * edges / DAY)
    return np.sort(np.interp(rng.uniform(0, arrived[-1], number), arrived, edges))


def trace(file: Path) -> Seconds:
    """Return the photos of a CSV file with the columns `seconds` and, optionally, `photos`: how many arrive then.

    The first photo is at 0. Raise BadSetting with the line that is wrong.
    """
    try:
        with file.open(newline="") as lines:
            rows = list(_rows(file, lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadSetting(f"The trace {file} cannot be read: {error}") from error
    if not rows:
        raise BadSetting(f"The trace {file} has no photos in it.")
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
            raise BadSetting(f"{file}, line {reader.line_num}: {at!r} seconds, {photos} photos cannot be.")
        if photos:
            yield at, photos


def _number(name: str, per_second: float, seconds: float) -> float:
    """Return rate x time, a number of photos that fits into memory."""
    positive(name, per_second)
    positive("time", seconds)
    positive(f"number of photos ({name} x time)", per_second * seconds, PHOTOS_AT_MOST)
    return per_second * seconds
