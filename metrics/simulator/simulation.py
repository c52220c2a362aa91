"""Replay arriving photos against the metric, the policies and machines that take time to boot.

The published values and the decisions come from `backlog.py` and `policy.py`, the code that the service runs. simpy
runs the timed events (ticks of the metric, evaluations of the alarms, boots); photos are not events.
"""

import math
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from metrics import backlog, policy
from metrics.backlog import METRICS, BadSetting, Depth
from metrics.evaluation import Point
from metrics.policy import Capacity, Policies
from metrics.simulator.arrivals import Seconds
from metrics.simulator.fleet import Fleet
from metrics.simulator.scenario import BacklogSeries, MachineSeries, Result, Scenario, Use

# CloudWatch evaluates an alarm with periods of 30 s every 10 s.
EVALUATIONS_A_PERIOD = 3
# EC2 bills by the second, but at least a minute.
BILLED_AT_LEAST_SECONDS = 60.0
# The standby worker's number; those of the group begin with 1.
_STANDBY = 0
# A scenario that is still running this long after its last photo will never end.
PATIENCE_SECONDS = 30 * 86_400.0


def simulate(scenario: Scenario, policies: Policies, progress: Callable[[float], None] = lambda _: None) -> Result:
    """Run the scenario until every photo is done and the group is back at its minimum.

    `progress` is called with the simulated seconds. Raise BadSetting for a scenario that never ends.
    """
    scenario.check(min(one.period for one in policies.tracking))
    return _World(scenario, policies, progress).run()


def _sent(finished: Seconds, per_second: float) -> Seconds:
    """Return when each answer is sent, first finished first: the bot's limit holds them up, however many machines."""
    if not per_second:
        return finished
    order = np.argsort(finished, kind="stable")
    # How much later each would have to be if all before it were sent without a pause.
    early = finished[order] - np.arange(len(finished)) / per_second
    sent = finished.copy()
    sent[order] += np.maximum.accumulate(early) - early
    return sent


class _World:
    """One run: the group, its machines and the published metrics."""

    def __init__(self, scenario: Scenario, policies: Policies, progress: Callable[[float], None]) -> None:
        self._scenario, self._policies, self._progress = scenario, policies, progress
        rng = np.random.default_rng(scenario.seed)
        machine = scenario.machine
        self._fleet = Fleet(scenario.arrivals, machine.slots, lambda number: machine.draw(rng, number))
        self._env = simpy.Environment()
        self._over = self._env.event()
        self._launched: dict[int, float] = {}  # When each machine was launched, oldest first.
        self._running: set[int] = set()
        # How many are in the warm pool, and since when.
        self._stopped, self._stopped_since = max(0, scenario.warm_pool - scenario.minimum), 0.0
        self._changed_at = -math.inf
        self._launches, self._used, self._stopped_seconds = 0, list[Use](), 0.0
        span = max((tracking.low_periods + 4) * tracking.period for tracking in policies.tracking)
        points = math.ceil((span + scenario.metric_delay_seconds) / scenario.publish_seconds) + 1
        self._points = {name: deque[Point](maxlen=points) for name in METRICS}
        self._ticks: list[tuple[float, ...]] = [(0.0, 0.0, 0.0)]
        self._changes: list[tuple[float, ...]] = [(0.0, 0.0, 0.0)]

    def run(self) -> Result:
        """Run to the end."""
        # These are running already.
        self._resize(self._scenario.minimum, running=True)
        if self._scenario.standby:
            self._fleet.add(_STANDBY, 0.0)
        self._env.process(self._metric())
        self._env.process(self._scaling())
        self._env.run(self._over)
        end = self._env.now
        for machine in list(self._launched):
            self._end(machine)
        self._pool(0)
        return Result(
            arrivals=self._scenario.arrivals,
            latencies=_sent(self._fleet.finished, self._scenario.sends_per_second) - self._scenario.arrivals,
            published=BacklogSeries(*np.array(self._ticks).T),
            machines=MachineSeries(*np.array([*self._changes, (end, *self._changes[-1][1:])]).T),
            used=self._used,
            stopped_seconds=self._stopped_seconds,
            launches=self._launches,
            kind=self._scenario.machine.kind,
            standby=self._use(_STANDBY, end) if self._scenario.standby else Use(0.0, 0.0),
        )

    def _metric(self) -> Generator[simpy.Event, Any, None]:
        """Publish as the beat task does, out of step with the periods: its clock is not CloudWatch's."""
        every = self._scenario.publish_seconds
        yield self._env.timeout(every / 2)
        while True:
            now = self._env.now
            depth = Depth(*self._fleet.depth(now))
            keep = backlog.in_use(self._since_photo(), self._scenario.keep_warm_seconds)
            target = self._policies.tracking[0].target
            values = backlog.values(depth, len(self._launched), target, keep, self._scenario.standby)
            for name, value in values.by_name().items():
                self._points[name].append(Point(now, value))
            self._ticks.append((now, depth.unfinished, values.backlog_per_instance))
            self._progress(now)
            yield self._env.timeout(every)

    def _since_photo(self) -> float:
        arrivals, now = self._scenario.arrivals, self._env.now
        arrived = int(np.searchsorted(arrivals, now, "right"))
        return now - float(arrivals[arrived - 1]) if arrived else math.inf

    def _scaling(self) -> Generator[simpy.Event, Any, None]:
        """Evaluate the alarms and carry out the policies' decisions, until the end."""
        every = min(one.period for one in self._policies.tracking) / EVALUATIONS_A_PERIOD
        while not self._is_over():
            yield self._env.timeout(every)
            points = {name: self._seen(found) for name, found in self._points.items()}
            decision = policy.decide(self._policies, points, self._capacity(), self._env.now)
            self._resize(decision.desired)
        self._over.succeed()

    def _boot(self, machine: int, seconds: float) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(seconds)
        if machine in self._launched:
            self._running.add(machine)
            self._fleet.add(machine, self._env.now)
            self._note()

    def _resize(self, desired: int, running: bool = False) -> None:
        """Launch machines, those of the warm pool first, or let the newest go."""
        if desired == len(self._launched):
            return
        self._changed_at = self._env.now
        while len(self._launched) < desired:
            self._launches += 1
            self._launched[self._launches] = self._env.now
            self._env.process(self._boot(self._launches, 0.0 if running else self._starts_in()))
        for machine in list(self._launched)[desired:]:
            self._end(machine)
        self._note()

    def _starts_in(self) -> float:
        """Take a machine from the warm pool, or a new one; return how long it takes to start."""
        if not self._stopped:
            return self._scenario.machine.boot_seconds
        self._pool(-1)
        return self._scenario.machine.resume_seconds

    def _note(self) -> None:
        self._changes.append((self._env.now, len(self._launched), len(self._running)))

    def _end(self, machine: int) -> None:
        """Let a machine go, to the warm pool if that has room; it is paid for until its last photo is done."""
        ended = self._fleet.remove(machine, self._env.now)
        self._running.discard(machine)
        paid = max(BILLED_AT_LEAST_SECONDS, ended - self._launched.pop(machine))
        self._used.append(self._use(machine, paid))
        if self._stopped + len(self._launched) < self._scenario.warm_pool:
            self._pool(1)

    def _use(self, machine: int, paid: float) -> Use:
        return Use(paid, self._fleet.slot_seconds[machine] / self._scenario.machine.slots)

    def _pool(self, change: int) -> None:
        """Put a machine into the warm pool, or take it out."""
        now = self._env.now
        self._stopped_seconds += self._stopped * (now - self._stopped_since)
        self._stopped, self._stopped_since = self._stopped + change, now

    def _capacity(self) -> Capacity:
        warm_before = self._env.now - self._policies.warmup
        warming = sum(launched > warm_before for launched in self._launched.values())
        bounds = self._scenario.minimum, self._scenario.maximum
        return Capacity(len(self._launched), *bounds, warming, self._changed_at)

    def _seen(self, points: deque[Point]) -> list[Point]:
        """Return the points the alarms can see by now."""
        until = self._env.now - self._scenario.metric_delay_seconds
        return [point for point in points if point.at <= until]

    def _is_over(self) -> bool:
        last = self._scenario.arrivals[-1] if len(self._scenario.arrivals) else 0.0
        if self._env.now > last + PATIENCE_SECONDS:
            raise BadSetting(
                f"{PATIENCE_SECONDS:g} s after the last photo some are still unfinished: the machines are too slow."
            )
        settled = len(self._launched) == self._scenario.minimum or not any(
            one.scale_in for one in self._policies.tracking
        )
        return settled and not sum(self._fleet.depth(self._env.now)) and self._fleet.all_taken
