"""Simulate a load with each machine type: which is the cheapest that is fast enough."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from metrics import backlog, policy
from metrics.backlog import BadSetting, positive
from metrics.machine_types import COMPARED, HOURS_A_MONTH, TYPES, MachineType
from metrics.policy import Policies
from metrics.simulator import arrivals
from metrics.simulator.compare import Progress
from metrics.simulator.scenario import Result, Scenario
from metrics.simulator.simulation import simulate

DAYS_A_MONTH = HOURS_A_MONTH / 24
# Twice what Telegram takes from one bot.
PHOTOS_A_DAY_AT_MOST = 5_000_000
# The policies for machines that do so many photos a second.
WithSpeed = Callable[[float], Policies]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a load costs with a machine type, and how long people wait."""

    kind: MachineType
    result: Result


def estimates(
    scenario: Scenario,
    with_speed: WithSpeed,
    kinds: Iterable[MachineType],
    progress: Progress = lambda kind, seconds: None,
) -> Iterator[Estimate]:
    """Yield what each type makes of the scenario's photos; its machine counts for its slots and its boot only.

    Types that never finish are left out.
    """
    found: dict[float, Result] = {}
    for kind in kinds:
        speed = kind.photos_per_second
        if speed not in found:
            machine = replace(scenario.machine, service_seconds=scenario.machine.slots / speed)
            told = partial(progress, f"with {kind.name}")
            try:
                found[speed] = simulate(replace(scenario, machine=machine), with_speed(speed), told)
            except BadSetting:
                continue
        yield Estimate(kind, replace(found[speed], kind=kind))


def cheapest(found: Sequence[Estimate], goal_seconds: float, percent: float = 95) -> Estimate | None:
    """Return the cheapest of the types for which there are images, None if there is no such type.

    So many percent of the photos have to be answered within the goal, or in twice the time of the fastest type, however
    long that is: cold starts and Telegram's limit are the same for all.
    """
    possible = [one for one in found if not one.kind.arm]
    fastest = min((one.result.latency(percent) for one in possible), default=0.0)
    enough = [one for one in possible if one.result.latency(percent) <= max(goal_seconds, 2 * fastest)]
    return min(enough, key=lambda one: one.result.dollars, default=None)


def of_day(photos: int, names: Mapping[str, str]) -> list[Estimate]:
    """Return a day's estimate for each type, and for the service's own; `names` are the stacks' parameters.

    Photos come in a daily wave, at twice its mean by noon and hardly any at night. Raise BadSetting.
    """
    positive("photos per day", photos, PHOTOS_A_DAY_AT_MOST)
    scenario = Scenario(
        arrivals.wave(photos / arrivals.DAY, arrivals.DAY, np.random.default_rng(1)),
        maximum=int(names["MaxWorkers"]),
        warm_pool=int(names["WarmMachines"]),
        standby=names["StandbyWorker"] == "on",
        publish_seconds=float(names["MetricSeconds"]),
        keep_warm_seconds=float(names["KeepWarmSeconds"]),
        # It delays answers, and no machine works or waits longer for it.
        sends_per_second=0,
    )
    kinds = dict.fromkeys([*COMPARED, *([names["WorkerType"]] if names["WorkerType"] in TYPES else [])])
    return list(estimates(scenario, lambda speed: _policies(names, speed), [TYPES[name] for name in kinds]))


def _policies(names: Mapping[str, str], speed: float) -> Policies:
    goal = float(names["LatencyGoalSeconds"])
    target = float(names["BacklogTarget"]) or backlog.acceptable(goal, float(names["PhotosPerSecond"]) or speed)
    return policy.shipped(target, float(names["MetricSeconds"]), float(names["WarmupSeconds"]))
