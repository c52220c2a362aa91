"""Replay a load test in the simulator, and compare its number of machines with the real one.

    python manage.py loadtest --local --photos 300 --shape burst --until-scaled-in
    python -m deploy.loadtest.replay FOLDER

The simulator gets what it cannot know, as measured in the same run: when photos came to the queue, how long a machine
took to be in service, and how many photos a machine processed per second. How many machines there are when, it has to
work out by itself.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deploy.loadtest import local
from metrics import policy
from metrics.simulator.arrivals import Seconds
from metrics.simulator.scenario import Machine, Scenario
from metrics.simulator.simulation import simulate

_METRIC_DELAY_SECONDS = 0.3
_PERIOD_SECONDS, _KEEP_WARM_SECONDS = 30.0, 600.0
_SLOTS = Machine().slots


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run showed: at each of `at` (seconds), machines desired and in service, and unfinished jobs."""

    arrivals: Seconds
    at: Seconds
    desired: Seconds
    running: Seconds
    backlog: Seconds
    target: float

    @property
    def boot_seconds(self) -> float:
        """Return how long a machine took from being desired to being in service, on average."""
        numbers = range(1, int(self.running.max()) + 1)
        waits = [self._first(self.running, number) - self._first(self.desired, number) for number in numbers]
        return max(0.0, float(np.mean(waits)))

    @property
    def service_seconds(self) -> float:
        """Return how long a photo takes in a slot on average, measured while every slot of every machine was busy."""
        running, backlog = self.running, self.backlog
        # From a sample to the next, after the last photo, while the same machines run and more waits than they hold.
        busy = (running[:-1] > 0) & (running[1:] == running[:-1]) & (backlog[1:] > _SLOTS * running[1:])
        busy &= self.at[:-1] >= self.arrivals[-1]
        done = float((backlog[:-1] - backlog[1:])[busy].sum())
        if done <= 0:
            sys.exit("This run was too short to measure the speed of a machine: send more photos at once.")
        machine_seconds = float((np.diff(self.at) * running[:-1])[busy].sum())
        return _SLOTS * machine_seconds / done

    def _first(self, numbers: Seconds, number: int) -> float:
        return float(self.at[np.argmax(numbers >= number)])


def read(report: dict[str, Any]) -> Seen:
    """Return what a report.json says about photos and machines."""
    samples = [one for one in report["samples"] if None not in (one["desired"], one["in_service"], one["visible"])]
    if not samples or not any(one["in_service"] for one in samples):
        sys.exit("This report has no machines: the load test saw no Auto Scaling group.")

    def column(name: str) -> Seconds:
        return np.array([one[name] for one in samples], float)

    return Seen(
        arrivals=np.sort([photo["taken"] for photo in report["photos"] if photo["taken"] is not None]),
        at=column("seconds"),
        desired=column("desired"),
        running=column("in_service"),
        backlog=column("visible") + column("in_flight"),
        target=report["target"],
    )


def agreement(seen: Seen, maximum: int, time_scale: float) -> dict[str, float]:
    """Return the share of samples for which the simulator has the same number of machines, give or take one."""
    machine = Machine(_SLOTS, seen.service_seconds, boot_seconds=seen.boot_seconds)
    period = _PERIOD_SECONDS * time_scale
    scenario = Scenario(
        seen.arrivals,
        machine,
        maximum=maximum,
        publish_seconds=period,
        metric_delay_seconds=_METRIC_DELAY_SECONDS,
        keep_warm_seconds=_KEEP_WARM_SECONDS * time_scale,
    )
    simulated = simulate(scenario, policy.shipped(seen.target).scaled(time_scale)).machines
    indexes = np.searchsorted(simulated.at, seen.at, side="right") - 1
    pairs = {"wanted": (simulated.desired, seen.desired), "in service": (simulated.running, seen.running)}
    return {name: float(np.mean(abs(found[indexes] - real) <= 1)) for name, (found, real) in pairs.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read a report and print the agreement."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.loadtest.replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the folder of a load test's report")
    parser.add_argument("--max", type=int, default=4, help="the group's maximum size (default: %(default)s)")
    parser.add_argument(
        "--time-scale",
        type=float,
        default=local.time_scale(),
        help="seconds per second of AWS: 1 on AWS (default: that of --local)",
    )
    given = parser.parse_args(arguments)
    try:
        seen = read(json.loads((given.folder / "report.json").read_text()))
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} does not exist: run `python manage.py loadtest` first.")
    for name, share in agreement(seen, given.max, given.time_scale).items():
        sys.stdout.write(f"machines {name}: within one in {share:.1%} of {len(seen.at)} samples\n")
    sys.stdout.write(
        f"measured: boot {seen.boot_seconds:.1f} s, {_SLOTS / seen.service_seconds:.1f} photos/s per machine\n"
    )


if __name__ == "__main__":
    main()
