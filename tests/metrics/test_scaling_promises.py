"""What the shipped policies promise under each load: how long people wait, and what that costs in machine-hours.

The machines do 32 photos/s, with a standby worker 18, and boot in 120 s; the bot may send as fast as it likes.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import policy
from metrics.simulator import arrivals, compare
from metrics.simulator.scenario import Machine, Result, Scenario
from metrics.simulator.simulation import simulate
from tests.support.cases import slow_after

TARGET = 480.0
SHIPPED = policy.shipped(TARGET)
BOOT, SPEED = Machine().boot_seconds, Machine().photos_per_second


# As a t3.micro with what the images ship.
MICRO = Machine(service_seconds=Machine().slots / 18)


@dataclass(frozen=True)
class Promise:
    """At most these: a percentile of the latency in seconds, machine-hours, launches; and who waits beyond 30 s."""

    load: str
    maximum: int
    percent: float
    latency: float
    hours: float
    launches: int = 1000
    above: float = 1.0


@pytest.mark.parametrize(
    "promise",
    [
        pytest.param(Promise("200/day", 4, 90, latency=2, hours=18, above=0.09), marks=pytest.mark.slow),
        pytest.param(Promise("1,000/day", 4, 95, latency=2, hours=21.5, above=0.01), marks=pytest.mark.slow),
        pytest.param(Promise("10,000/day", 4, 95, latency=2, hours=23.5, above=0.001), marks=pytest.mark.slow),
        pytest.param(Promise("100,000/day", 4, 95, latency=1.05, hours=24.5), marks=pytest.mark.slow),
        Promise("bursts", 8, 95, latency=155, hours=14),
        Promise("burst of 300", 8, 95, latency=158, hours=0.3, launches=1),
        Promise("burst of 3,000", 8, 95, latency=165, hours=1.3, launches=8),
        Promise("ramp", 8, 95, latency=2, hours=5.6),
    ],
    ids=lambda promise: promise.load,
)
def test_load_is_served_as_promised(promise: Promise) -> None:
    results = [_simulated(promise.load, promise.maximum, seed) for seed in (1, 2)]
    assert np.mean([result.latency(promise.percent) for result in results]) <= promise.latency
    assert np.mean([result.machine_seconds for result in results]) <= 3600 * promise.hours
    assert np.mean([result.share_above(30) for result in results]) <= promise.above
    assert max(result.launches for result in results) <= promise.launches


@pytest.mark.parametrize(
    "promise",
    [
        Promise("200/day", 8, 95, latency=2, hours=0.5, above=0.001),
        Promise("burst of 300", 8, 95, latency=20, hours=0),
        Promise("burst of 3,000", 8, 95, latency=140, hours=1.3, launches=8),
        pytest.param(Promise("10,000/day", 8, 95, latency=2, hours=0.5, above=0.001), marks=pytest.mark.slow),
        pytest.param(Promise("ramp", 8, 95, latency=45, hours=5.5), marks=pytest.mark.slow),
    ],
    ids=lambda promise: promise.load,
)
def test_standby_answers_at_once_and_costs_no_more(promise: Promise) -> None:
    with_it = [_micro(promise, seed, standby=True) for seed in range(1, 6)]
    without = [_micro(promise, seed, standby=False) for seed in range(1, 6)]
    assert np.mean([result.latency(promise.percent) for result in with_it]) <= promise.latency
    assert np.mean([result.machine_seconds for result in with_it]) <= 3600 * promise.hours
    assert np.mean([result.share_above(30) for result in with_it]) <= promise.above
    assert max(result.launches for result in with_it) <= promise.launches
    assert sum(result.dollars for result in with_it) <= sum(result.dollars for result in without)


@pytest.mark.parametrize("rate", [1.0, 10.0, 17.0, 40.0])
def test_steady_load_costs_no_more_with_standby(rate: float) -> None:
    load = Promise("", 8, 95, 0, 0)
    photos = arrivals.constant(rate, 2 * 3600, np.random.default_rng(1))
    with_it, without = (_micro(load, 1, standby, photos) for standby in (True, False))
    assert with_it.dollars <= without.dollars
    # The same work in a worker of the group, which earns credits only while it lives.
    worker = with_it.kind.surplus(with_it.standby.busy, with_it.standby.busy)
    assert with_it.kind.surplus(with_it.standby.paid, with_it.standby.busy) <= worker


def _micro(promise: Promise, seed: int, standby: bool, photos: arrivals.Seconds | None = None) -> Result:
    photos = compare.LOADS[promise.load](np.random.default_rng(seed)) if photos is None else photos
    scenario = Scenario(photos, MICRO, maximum=promise.maximum, standby=standby, sends_per_second=0, seed=seed)
    return simulate(scenario, policy.shipped(270))


def _simulated(load: str, maximum: int, seed: int) -> Result:
    photos = compare.LOADS[load](np.random.default_rng(seed))
    return simulate(Scenario(photos, maximum=maximum, sends_per_second=0, seed=seed), SHIPPED)


@pytest.mark.slow
def test_random_bursts_cost_less_without_keeping_a_machine() -> None:
    photos = [arrivals.bursts(np.random.default_rng(seed)) for seed in (1, 2, 3)]
    scenarios = [Scenario(each, maximum=8, keep_warm_seconds=0, sends_per_second=0) for each in photos]
    results = [simulate(scenario, SHIPPED) for scenario in scenarios]
    assert np.mean([result.latency(95) for result in results]) <= 155
    assert np.mean([result.machine_seconds for result in results]) <= 3600 * 9.5


@pytest.mark.slow
@pytest.mark.parametrize(("every", "p95"), slow_after(1, [(30.0, 80), (10.0, 60)]))
def test_warm_pool_of_two_halves_the_wait(every: float, p95: float) -> None:
    photos = arrivals.bursts(np.random.default_rng(1))
    scenario = Scenario(photos, maximum=8, warm_pool=2, publish_seconds=every, sends_per_second=0)
    tracking = [replace(one, period=every) for one in SHIPPED.tracking]
    assert simulate(scenario, replace(SHIPPED, tracking=tracking)).latency(95) <= p95


def test_warm_pool_lends_machines_and_takes_them_back() -> None:
    """Two machines resume in 30 s, the third boots; the next burst finds the pool full again."""
    machine = replace(Machine(service_variation=0), resume_seconds=30)
    photos = np.array([*np.zeros(1440), *np.full(1440, 7200.0)])
    scenario = Scenario(photos, machine, maximum=3, warm_pool=2, keep_warm_seconds=0, sends_per_second=0)
    result = simulate(scenario, SHIPPED)
    series = result.machines
    for since in (0.0, 7200.0):
        launched, *starts = (float(at - since) for at in series.at[1:][(series.at[1:] >= since)][:4])
        assert [start - launched for start in starts[:2]] == [30, 30]
        assert starts[2] - launched == pytest.approx(BOOT)


@pytest.mark.slow
@given(
    st.lists(st.floats(0, 7200), max_size=40),
    st.lists(st.tuples(st.floats(0, 7200), st.integers(1, 9000), st.floats(0, 300)), max_size=3),
)
@settings(max_examples=60)
def test_cold_start_launches_no_useless_machine(lone: list[float], bursts: list[tuple[float, int, float]]) -> None:
    """All that one cold start launches boot together; without the last, the others would need more than the goal."""
    photos = [np.linspace(at, at + spread, number) for at, number, spread in bursts]
    result = simulate(Scenario(np.sort(np.concatenate([np.array(lone), *photos])), maximum=20), SHIPPED)
    at, desired = result.machines.at, result.machines.desired
    for index in np.flatnonzero((desired[:-1] == 0) & (desired[1:] > 0)) + 1:
        seen = result.published.backlog[np.searchsorted(result.published.at, at[index], side="left") - 1]
        others = desired[index] - 1
        assert not others or seen / (others * SPEED) >= TARGET / SPEED


@given(st.integers(1, 30_000), st.integers(1, 10))
@settings(max_examples=60)
def test_burst_launches_as_many_machines_as_meet_the_goal(photos: int, maximum: int) -> None:
    """Seen whole by the first tick, nothing that happens while they boot and work adds one, but for the maximum."""
    result = simulate(Scenario(np.zeros(photos), maximum=maximum, sends_per_second=0), SHIPPED)
    assert result.launches == min(maximum, 1 + int(photos // TARGET))
