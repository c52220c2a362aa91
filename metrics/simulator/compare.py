"""Simulate one scenario with several targets of BacklogPerInstance, or several policies under several loads."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from metrics.policy import Policies, StepScaling, TargetTracking
from metrics.simulator import arrivals
from metrics.simulator.scenario import Result, Scenario
from metrics.simulator.simulation import simulate

Progress = Callable[[str, float], None]

# The policies with a target of BacklogPerInstance.
WithTarget = Callable[[float], Policies]

SHIPPED = "shipped"
_FAST_SECONDS = 10.0
# How each policy differs from the scenario and the policies as they are given.
POLICIES: Mapping[str, Callable[[Scenario, Policies], tuple[Scenario, Policies]]] = {
    SHIPPED: lambda scenario, policies: (scenario, policies),
    "keep-warm-off": lambda scenario, policies: (replace(scenario, keep_warm_seconds=0.0), policies),
    # Metric and alarms three times as often.
    "every-10-s": lambda scenario, policies: (
        replace(scenario, publish_seconds=_FAST_SECONDS),
        replace(policies, tracking=[replace(one, period=_FAST_SECONDS) for one in policies.tracking]),
    ),
    # Two machines that are prepared and stopped, as far as the maximum has room for them.
    "warm-pool-of-2": lambda scenario, policies: (replace(scenario, warm_pool=min(2, scenario.maximum)), policies),
    # A worker next to the metric.
    "standby": lambda scenario, policies: (replace(scenario, standby=True), policies),
    # As release 0.1: one target tracking policy with 10 photos a machine, one machine to begin with, and none kept.
    "one-policy": lambda scenario, policies: (
        replace(scenario, keep_warm_seconds=0.0),
        Policies([TargetTracking(10.0, policies.tracking[0].period)], [StepScaling()], policies.warmup),
    ),
}
_SIX_HOURS = 6 * 3600.0
# What --compare tries: trickles, days, bursts, and growth.
LOADS: Mapping[str, Callable[[np.random.Generator], arrivals.Seconds]] = {
    "200/day": lambda rng: arrivals.wave(200 / arrivals.DAY, arrivals.DAY, rng),
    "1,000/day": lambda rng: arrivals.wave(1_000 / arrivals.DAY, arrivals.DAY, rng),
    "10,000/day": lambda rng: arrivals.wave(10_000 / arrivals.DAY, arrivals.DAY, rng),
    "100,000/day": lambda rng: arrivals.wave(100_000 / arrivals.DAY, arrivals.DAY, rng),
    "20/min, 6 h": lambda rng: arrivals.constant(20 / 60, _SIX_HOURS, rng),
    "burst of 300": lambda rng: arrivals.burst(300, 10, rng),
    "burst of 3,000": lambda rng: arrivals.burst(3_000, 10, rng),
    "bursts": arrivals.bursts,
    "ramp": arrivals.ramp,
}


@dataclass(frozen=True, slots=True)
class Run:
    """What a policy made of a load."""

    policy: str
    load: str
    result: Result

    def numbers(self, goal_seconds: float) -> dict[str, str | int | float]:
        """Return its summary, by the names of `simulate_scaling --json`."""
        result = self.result
        return {
            "policy": self.policy,
            "load": self.load,
            "photos": len(result.arrivals),
            **{f"p{percent}_s": result.latency(percent) for percent in (50, 90, 95, 99)},
            "share_above": result.share_above(goal_seconds),
            "cold_starts": result.cold_starts,
            "launches": result.launches,
            "peak": result.peak,
            "machine_hours": result.machine_seconds / 3600,
            "dollars": result.dollars,
            "busy_share": result.busy_share,
        }


def loads(scenario: Scenario) -> dict[str, Scenario]:
    """Return the scenario under each load, with photos drawn by its seed."""
    return {name: replace(scenario, arrivals=LOADS[name](np.random.default_rng(scenario.seed))) for name in LOADS}


def runs(
    scenarios: Mapping[str, Scenario], named: Iterable[str], policies: Mapping[float, Policies], progress: Progress
) -> Iterator[Run]:
    """Yield what each policy, with each target, makes of each load, as soon as it is simulated."""
    for (load, scenario), name, (target, with_target) in product(scenarios.items(), named, policies.items()):
        policy = name if len(policies) == 1 else f"{name}, target {target:g}"
        result = simulate(*POLICIES[name](scenario, with_target), partial(progress, f"{load}: {policy}"))
        yield Run(policy, load, result)


def targets(
    scenario: Scenario, with_target: WithTarget, values: Iterable[float], progress: Progress
) -> dict[float, Result]:
    """Return the result for each target; `progress` is called with what is simulated, and the simulated seconds."""
    return {value: simulate(scenario, with_target(value), partial(progress, f"target {value:g}")) for value in values}
