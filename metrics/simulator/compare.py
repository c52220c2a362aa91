"""Simulate one scenario with several targets of BacklogPerInstance."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from metrics.policy import Policies
from metrics.simulator.scenario import Result, Scenario
from metrics.simulator.simulation import simulate

Progress = Callable[[float, float], None]


def targets(scenario: Scenario, policies: Policies, values: Iterable[float], progress: Progress) -> dict[float, Result]:
    """Return the result for each target; `progress` is called with the target and the simulated seconds."""
    return {value: simulate(scenario, at(policies, value), partial(progress, value)) for value in values}


def at(policies: Policies, target: float) -> Policies:
    """Return the policies with another target."""
    return replace(policies, tracking=replace(policies.tracking, target=target))
