"""Compare the ways to have a worker in time: what the first photo waits for, who waits long, and what a month costs.

`python manage.py simulate_scaling --choices` computes the table; it takes a minute, so `provision --plan` shows what is
stored here.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from metrics import policy
from metrics.backlog import acceptable
from metrics.machine_types import HOURS_A_MONTH, TYPES
from metrics.simulator import arrivals
from metrics.simulator.scenario import Machine, Result, Scenario
from metrics.simulator.simulation import simulate

STORED = Path(__file__).with_name("choices.json")
PHOTOS_A_DAY = (200, 1_000, 10_000)
LONG_SECONDS = 30.0
_SEEDS, _GOAL_SECONDS, _MAXIMUM = range(1, 6), 15.0, 4
_KIND = TYPES["t3.micro"]
_MACHINE = Machine(service_seconds=Machine().slots / _KIND.photos_per_second, kind=_KIND)
# How each differs from what ships, which keeps the last worker for ten minutes.
CHOICES: Mapping[str, Callable[[Scenario], Scenario]] = {
    "on demand (KeepWarmSeconds=0)": lambda scenario: replace(scenario, keep_warm_seconds=0.0),
    "kept warm (as shipped)": lambda scenario: scenario,
    "pool of 1 (WarmMachines=1)": lambda scenario: replace(scenario, warm_pool=1),
    "pool of 2 (WarmMachines=2)": lambda scenario: replace(scenario, warm_pool=2),
    "standby (StandbyWorker=on)": lambda scenario: replace(scenario, standby=True),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a choice does for so many photos a day: seconds, a share (0-1), and dollars for its workers in a month."""

    name: str
    photos_a_day: int
    first_seconds: float
    share_above: float
    dollars: float


def stored() -> list[Choice]:
    """Return the table as it was computed last."""
    return [Choice(**row) for row in json.loads(STORED.read_text())]


def store(found: list[Choice]) -> None:
    """Keep the table."""
    rows = ",\n".join(f"  {json.dumps(asdict(row))}" for row in found)
    STORED.write_text(f"[\n{rows}\n]\n")


def computed(photos_a_day: tuple[int, ...] = PHOTOS_A_DAY) -> Iterator[Choice]:
    """Yield each row, means of some days; the first photo is one that comes while nothing runs."""
    for name, change in CHOICES.items():
        first = _mean(lambda result: result.latency(50), [_run(change, _alone(seed), seed) for seed in _SEEDS])
        for photos in photos_a_day:
            results = [_run(change, _day(photos, seed), seed) for seed in _SEEDS]
            dollars = _mean(lambda one: one.dollars / one.machines.at[-1] * HOURS_A_MONTH * 3600, results)
            above = _mean(lambda one: one.share_above(LONG_SECONDS), results)
            yield Choice(name, photos, round(first, 1), round(above, 5), round(dollars, 2))


def _run(change: Callable[[Scenario], Scenario], photos: arrivals.Seconds, seed: int) -> Result:
    scenario = Scenario(photos, _MACHINE, maximum=_MAXIMUM, sends_per_second=0, seed=seed)
    return simulate(change(scenario), policy.shipped(acceptable(_GOAL_SECONDS, _KIND.photos_per_second)))


def _day(photos: int, seed: int) -> arrivals.Seconds:
    return arrivals.wave(photos / arrivals.DAY, arrivals.DAY, np.random.default_rng(seed))


def _alone(seed: int) -> arrivals.Seconds:
    """Return when one photo comes, at any time between two points of the metric."""
    return np.array([3600 + np.random.default_rng(seed).uniform(0, policy.PERIOD_SECONDS)])


def _mean(number: Callable[[Result], float], results: list[Result]) -> float:
    return float(np.mean([number(one) for one in results]))
