"""The input of a simulation, and its result."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from botsite.roles import METRIC_STREAMER, YOLO5
from metrics import machine_types, percentile
from metrics.backlog import BadSetting, in_use, positive
from metrics.machine_types import TYPES, MachineType
from metrics.policy import PERIOD_SECONDS, Capacity
from metrics.simulator.arrivals import Seconds

# What a standby worker adds to the disk of the metric's machine.
_STANDBY_DISK_GB = YOLO5.container.disk_gib - METRIC_STREAMER.container.disk_gib


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine does and costs: `slots` photos at a time, `service_seconds` each on average.

    The defaults are the worker as `make bench` measures it on two cores, with the latencies of a region; money is that
    of a t3.micro.
    """

    slots: int = 16
    service_seconds: float = 0.5
    # Standard deviation / mean of the service time (log-normal); 0 if it never varies.
    service_variation: float = 0.5
    boot_seconds: float = 120.0
    # The same for a machine that waits in the warm pool, prepared and stopped.
    resume_seconds: float = 30.0
    kind: MachineType = TYPES["t3.micro"]

    def __post_init__(self) -> None:
        """Raise BadSetting for impossible numbers."""
        positive("slots", self.slots, 10_000)
        positive("service seconds", self.service_seconds)
        numbers = {name: getattr(self, name) for name in ("service_variation", "boot_seconds", "resume_seconds")}
        for name, value in (numbers | {"dollars_per_hour": self.kind.dollars_per_hour}).items():
            if not 0 <= value < math.inf:
                raise BadSetting(f"{name} is {value!r}: it has to be 0 or more.")

    @property
    def photos_per_second(self) -> float:
        """Return the throughput of a busy machine."""
        return self.slots / self.service_seconds

    def draw(self, rng: np.random.Generator, number: int) -> Seconds:
        """Return `number` random service times."""
        if not self.service_variation:
            return np.full(number, self.service_seconds)
        spread = math.sqrt(math.log1p(self.service_variation**2))
        return rng.lognormal(math.log(self.service_seconds) - spread**2 / 2, spread, number)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Photos, machines, the group's bounds; how often and how late the metric comes, how long it keeps a machine.

    Of all machines, `warm_pool` are prepared once and stopped while they are not needed. With `standby` there is
    another one like them that always works, and is paid for otherwise.
    """

    arrivals: Seconds
    machine: Machine = field(default_factory=Machine)
    minimum: int = 0
    maximum: int = 4
    warm_pool: int = 0
    standby: bool = False
    publish_seconds: float = PERIOD_SECONDS
    metric_delay_seconds: float = 5.0
    keep_warm_seconds: float = 600.0
    # What the bot may send, in messages; 0 is no limit. Telegram allows about 30, the service stays below.
    sends_per_second: float = 25.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise BadSetting for an impossible scenario."""
        Capacity(0, self.minimum, self.maximum)
        positive("maximum", self.maximum)
        if not 0 <= self.warm_pool <= self.maximum:
            raise BadSetting(f"The warm pool of {self.warm_pool} has to be between 0 and the maximum, {self.maximum}.")
        positive("publish seconds", self.publish_seconds)
        if not 0 <= self.metric_delay_seconds < math.inf:
            raise BadSetting(f"metric delay is {self.metric_delay_seconds!r}: it has to be 0 s or more.")
        if not 0 <= self.sends_per_second < math.inf:
            raise BadSetting(f"sends per second is {self.sends_per_second!r}: it has to be 0 or more.")
        in_use(None, self.keep_warm_seconds)

    def check(self, period: float) -> None:
        """Raise BadSetting if the metric comes too rarely or too late for alarms with this period, in seconds."""
        every, delay = self.publish_seconds, self.metric_delay_seconds
        if every > period or every + delay > 2 * period:
            raise BadSetting(
                f"publish seconds {every:g}, metric delay {delay:g}, period {period:g}: points that rare or late "
                "leave the alarms without data. Shorten the first two, or lengthen the period."
            )


@dataclass(frozen=True, slots=True)
class BacklogSeries:
    """A row per tick of the metric: seconds, unfinished photos, BacklogPerInstance."""

    at: Seconds
    backlog: Seconds
    per_instance: Seconds


@dataclass(frozen=True, slots=True)
class MachineSeries:
    """A row per change, and one for the end: seconds, machines desired, machines running."""

    at: Seconds
    desired: Seconds
    running: Seconds


@dataclass(frozen=True, slots=True)
class Use:
    """For how long a machine is paid, from its launch, and how long of that its slots are at work; in seconds."""

    paid: float
    busy: float


@dataclass(frozen=True, slots=True)
class Result:
    """What happened to the photos (seconds, in order of arrival) and to the machines."""

    arrivals: Seconds
    #: From a photo's arrival to its answer.
    latencies: Seconds
    published: BacklogSeries
    machines: MachineSeries
    used: Sequence[Use]
    #: That machines spent in the warm pool.
    stopped_seconds: float
    launches: int
    kind: MachineType
    #: For how long there was a standby worker, and its work.
    standby: Use = Use(0.0, 0.0)

    def latency(self, percent: float) -> float:
        """Return a percentile of the latencies; 0 without photos."""
        return float(percentile.of(np.sort(self.latencies), percent) or 0.0)

    def share_above(self, seconds: float) -> float:
        """Return the share of the photos (0-1) whose answer took longer; a percentile of a day hides cold starts."""
        return float(np.mean(self.latencies > seconds)) if len(self.latencies) else 0.0

    @property
    def cold_starts(self) -> int:
        """Return how often the group left 0: somebody waited for a boot."""
        before, after = self.machines.desired[:-1], self.machines.desired[1:]
        # The machines of a minimum are there from the start.
        return int(np.count_nonzero((before == 0) & (after > 0) & (self.machines.at[1:] > 0)))

    @property
    def machine_seconds(self) -> float:
        """Return the machine time that is paid for."""
        return sum(use.paid for use in self.used)

    @property
    def busy_seconds(self) -> float:
        """Return for how much of it slots were at work."""
        return sum(use.busy for use in self.used)

    @property
    def dollars(self) -> float:
        """Return the cost of the machines, with addresses, disks and CPU credits, without the rest of the service.

        A standby worker adds its CPU credits and its part of the disk to a machine that is there anyway.
        """
        working = sum(self.kind.dollars(use.paid, use.busy) for use in self.used)
        standby = self.kind.surplus(self.standby.paid, self.standby.busy)
        standby += machine_types.disk(self.standby.paid, _STANDBY_DISK_GB)
        return working + standby + machine_types.disk(self.stopped_seconds)

    @property
    def busy_share(self) -> float:
        """Return the share (0-1) of the paid machine time in which slots were at work."""
        return self.busy_seconds / self.machine_seconds if self.used else 0.0

    @property
    def peak(self) -> int:
        """Return the highest desired capacity."""
        return int(self.machines.desired.max())

    @property
    def most_waiting(self) -> int:
        """Return the largest backlog the metric saw."""
        return int(self.published.backlog.max())

    @property
    def dollars_per_thousand(self) -> float:
        """Return the cost of 1,000 photos."""
        return 1000 * self.dollars / max(1, len(self.arrivals))
