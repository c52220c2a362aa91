"""What a simulation is given and what it returns."""

import math
from dataclasses import dataclass, field

import numpy as np

from metrics.backlog import BadSetting, positive
from metrics.policy import Group
from metrics.simulator.arrivals import Seconds


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine does and costs: `slots` photos at a time, each for `service_seconds` on average.

    By default the worker as `make bench` finds it on two cores, with a region's latencies.
    """

    slots: int = 16
    service_seconds: float = 0.5
    # Standard deviation / mean of the service time (log-normal); 0 for one that is always the same.
    service_variation: float = 0.5
    boot_seconds: float = 120.0
    dollars_per_hour: float = 0.0104

    def __post_init__(self) -> None:
        """Raise BadSetting for a machine that cannot be."""
        positive("slots", self.slots, 10_000)
        positive("service seconds", self.service_seconds)
        for name in ("service_variation", "boot_seconds", "dollars_per_hour"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadSetting(f"{name} is {getattr(self, name)!r}: it has to be 0 or more.")

    @property
    def photos_per_second(self) -> float:
        """Return what a busy machine gets done."""
        return self.slots / self.service_seconds

    def draw(self, rng: np.random.Generator, number: int) -> Seconds:
        """Return so many service times."""
        if not self.service_variation:
            return np.full(number, self.service_seconds)
        spread = math.sqrt(math.log1p(self.service_variation**2))
        return rng.lognormal(math.log(self.service_seconds) - spread**2 / 2, spread, number)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Photos, machines, the group's bounds, and the metric's ways: every so many seconds, seen so much later."""

    arrivals: Seconds
    machine: Machine = field(default_factory=Machine)
    minimum: int = 0
    maximum: int = 4
    publish_seconds: float = 30.0
    metric_delay_seconds: float = 5.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise BadSetting for a scenario that cannot be played."""
        Group(0, self.minimum, self.maximum)
        positive("maximum", self.maximum)
        positive("publish seconds", self.publish_seconds)
        if not 0 <= self.metric_delay_seconds < math.inf:
            raise BadSetting(f"metric delay is {self.metric_delay_seconds!r}: it has to be 0 s or more.")

    def check(self, period: float) -> None:
        """Raise BadSetting if the metric is too rare or too late for alarms with periods of so many seconds."""
        every, delay = self.publish_seconds, self.metric_delay_seconds
        if every > period or every + delay > 2 * period:
            raise BadSetting(
                f"publish seconds {every:g}, metric delay {delay:g}, period {period:g}: with points that rare or late "
                "alarms have no data. Shorten the first two, or lengthen the period."
            )


@dataclass(frozen=True, slots=True)
class Published:
    """A row for each tick of the metric: seconds, photos waiting and in work, BacklogPerInstance."""

    at: Seconds
    backlog: Seconds
    per_instance: Seconds


@dataclass(frozen=True, slots=True)
class Machines:
    """A row for each change, and one for the end: seconds, machines wanted, machines at work."""

    at: Seconds
    desired: Seconds
    running: Seconds


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the photos (seconds, in the order of arrival) and of the machines."""

    arrivals: Seconds
    latencies: Seconds
    published: Published
    machines: Machines
    machine_seconds: float
    launches: int
    dollars_per_hour: float

    def latency(self, percent: float) -> float:
        """Return a percentile of the seconds from a photo's arrival to its end."""
        return float(np.percentile(self.latencies, percent)) if len(self.latencies) else 0.0

    @property
    def peak(self) -> int:
        """Return how many machines were wanted at most."""
        return int(self.machines.desired.max())

    @property
    def most_waiting(self) -> int:
        """Return the largest backlog that the metric saw."""
        return int(self.published.backlog.max())

    @property
    def dollars(self) -> float:
        """Return what the machines cost, without the rest of the service."""
        return self.machine_seconds / 3600 * self.dollars_per_hour

    @property
    def dollars_per_thousand(self) -> float:
        """Return the cost of 1,000 photos."""
        return 1000 * self.dollars / max(1, len(self.arrivals))
