"""Recommend a target of BacklogPerInstance for an acceptable latency, with the reasons."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from metrics import backlog
from metrics.simulator.compare import WithTarget
from metrics.simulator.scenario import Result, Scenario
from metrics.simulator.simulation import simulate

# Of the acceptable backlog: the guide's own value, and smaller ones that leave time for alarms and boots.
_SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


@dataclass(frozen=True, slots=True)
class Advice:
    """A target, whether it keeps the latency, and the reasons as sentences."""

    target: float
    kept: bool
    reasons: list[str]


def candidates(scenario: Scenario, latency_seconds: float) -> list[float]:
    """Return the targets worth comparing: fractions of the acceptable backlog of the EC2 guide.

    All are at least 1: below that, one photo would ask for two machines.
    """
    acceptable = backlog.acceptable(latency_seconds, scenario.machine.photos_per_second)
    return sorted({max(1.0, float(round(acceptable * share))) for share in _SHARES})


def recommend(
    scenario: Scenario, with_target: WithTarget, results: Mapping[float, Result], latency_seconds: float, percent: float
) -> Advice:
    """Return the cheapest target whose percentile keeps the latency; if none does, the one that comes closest."""
    kept = {target: result for target, result in results.items() if result.latency(percent) <= latency_seconds}
    if kept:
        best = min(kept, key=lambda target: (kept[target].dollars, -target))
        reasons = [_measured(best, results[best], percent), *_above(results, best, latency_seconds, percent)]
    else:
        best = min(results, key=lambda one: (round(results[one].latency(percent)), results[one].dollars, -one))
        reasons = [
            _measured(best, results[best], percent),
            *_too_slow(scenario, with_target, best, results[best], percent),
        ]
    limit = sends(scenario.sends_per_second, scenario.machine.photos_per_second)
    reasons = [_guide(scenario, latency_seconds, best), *reasons, *limit]
    return Advice(best, bool(kept), reasons)


def _guide(scenario: Scenario, latency_seconds: float, best: float) -> str:
    speed = scenario.machine.photos_per_second
    acceptable = backlog.acceptable(latency_seconds, speed)
    by_itself = f" LATENCY_GOAL_SECONDS={latency_seconds:g} sets it by itself." if round(acceptable) == best else ""
    return (
        f"A machine does {speed:g} photos/s, {acceptable:,.0f} in {latency_seconds:g} s: the acceptable backlog of the "
        f"EC2 guide, if machines started instantly.{by_itself}"
    )


def _measured(target: float, result: Result, percent: float) -> str:
    return (
        f"At {target:g}, p{percent:g} is {result.latency(percent):,.1f} s, and 1,000 photos cost "
        f"${result.dollars_per_thousand:.3g} in machines, at most {result.peak} at a time."
    )


def _above(results: Mapping[float, Result], best: float, latency_seconds: float, percent: float) -> list[str]:
    """Describe what the next higher target would do."""
    higher = min((target for target in results if target > best), default=None)
    if higher is None:
        return ["It is the highest target tried."]
    slower = results[higher].latency(percent)
    cheaper = "cheaper" if results[higher].dollars < results[best].dollars else "no cheaper"
    verdict = f"over {latency_seconds:g} s" if slower > latency_seconds else cheaper
    return [
        f"At {higher:g}, p{percent:g} is {slower:,.1f} s at ${results[higher].dollars_per_thousand:.3g}: {verdict}."
    ]


def _too_slow(scenario: Scenario, with_target: WithTarget, best: float, result: Result, percent: float) -> list[str]:
    """Explain why no target is enough, and what one more permanent machine would change."""
    wait = (scenario.publish_seconds + min(with_target(best).periods)) / 2 + scenario.machine.boot_seconds
    reasons = [
        f"No target is enough: a new machine starts work {wait:.0f} s or more after it is needed (tick, alarm, boot)."
    ]
    if result.peak == scenario.maximum:
        reasons.append(f"All {result.peak} machines were in use: a higher maximum may help.")
    if scenario.minimum < scenario.maximum:
        more = scenario.minimum + 1
        with_more = simulate(replace(scenario, minimum=more), with_target(best))
        reasons.append(f"With a minimum of {more}: {_measured(best, with_more, percent)}")
    return reasons


def sends(per_second: float, photos_per_second: float) -> list[str]:
    """Say from how many machines on the bot's limit of messages decides how soon an answer comes; 0 is no limit."""
    if not per_second:
        return []
    enough = math.ceil(per_second / photos_per_second)
    machines = "one machine" if enough == 1 else f"{enough} machines"
    return [f"The bot may send {per_second:g} messages/s: with more than {machines}, answers come no earlier."]
