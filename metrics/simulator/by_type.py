"""Simulate a load with each machine type: which is the cheapest that is fast enough."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from metrics.backlog import BadSetting
from metrics.machine_types import MachineType
from metrics.policy import Policies
from metrics.simulator.compare import Progress
from metrics.simulator.scenario import Result, Scenario
from metrics.simulator.simulation import simulate

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
