"""The published values wake a group at 0, let an idle one sleep, and are safe while something cannot be read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import backlog
from metrics.backlog import BadSetting, Values
from metrics.evaluation import Point
from metrics.policy import Capacity, Points, Policies, TargetTracking, decide

messages = st.integers(0, 10**9)
machines = st.integers(0, 1000)
targets = st.floats(0.01, 1_000_000)
HOUR = 3600.0


@given(messages, messages, targets)
def test_work_without_a_machine_is_above_the_target(visible: int, in_flight: int, target: float) -> None:
    work = backlog.backlog(visible, in_flight)
    values = backlog.values(work, 0, target)
    assert (values.backlog_per_instance > target) == (work > 0)
    assert (values.backlog_without_capacity > 0) == (work > 0)


@given(machines, targets)
def test_no_work_is_a_real_zero(desired: int, target: float) -> None:
    assert backlog.values(0, desired, target) == Values(0.0, 0.0)


@given(messages, messages, st.integers(1, 1000), targets)
def test_with_machines_it_is_the_work_per_machine(visible: int, in_flight: int, desired: int, target: float) -> None:
    values = backlog.values(backlog.backlog(visible, in_flight), desired, target)
    assert values == Values((visible + in_flight) / desired, 0.0)


@given(messages, messages, machines, machines, targets)
def test_no_state_is_a_deadlock(visible: int, in_flight: int, desired: int, pending: int, target: float) -> None:
    """Published long enough, the values bring every group to the right size, whatever is still pending."""
    maximum, pending = 1000, min(pending, desired)
    work = backlog.backlog(visible, in_flight)
    values = backlog.values(work, desired, target)
    after = _after_an_hour(values, Capacity(desired, 0, maximum, warming=pending), target)
    if work and not desired:
        assert after == 1
    if work and desired:
        assert after >= min(maximum, math.ceil(round(work / target, 6)))
        assert after >= 1
    if not work and not pending:
        assert after == 0


@pytest.mark.parametrize(
    ("work", "desired", "published", "asleep", "three"),
    [
        pytest.param(None, 3, Values(10, 0), 0, 3, id="no depth, 3 machines: stay"),
        pytest.param(None, 0, Values(11, 1), 1, 4, id="no depth, no machine: there may be work, wake one"),
        pytest.param(0, None, Values(0, 0), 0, 0, id="no work: nobody is needed, however many there are"),
        pytest.param(7, None, Values(10, 1), 1, 4, id="work, no size: one more at most, so that there is one"),
        pytest.param(None, None, Values(10, 0), 0, 3, id="nothing known: stay"),
    ],
)
def test_failed_reads_strand_no_photo_and_stop_no_machine(
    work: int | None, desired: int | None, published: Values, asleep: int, three: int
) -> None:
    assert backlog.values(work, desired, 10) == published
    assert _after_an_hour(published, Capacity(0, 0, 1000), 10) == asleep
    assert _after_an_hour(published, Capacity(3, 0, 1000), 10) == three


def _after_an_hour(values: Values, capacity: Capacity, target: float) -> int:
    """Return the capacity the policies ask for after an hour of these values."""
    times = [30.0 * tick for tick in range(int(HOUR / 30))]
    points = Points(
        [Point(at, values.backlog_per_instance) for at in times],
        [Point(at, values.backlog_without_capacity) for at in times],
    )
    return decide(Policies(TargetTracking(target, period=30)), points, capacity, HOUR).desired


def test_acceptable_backlog_is_what_a_machine_finishes_in_time() -> None:
    assert backlog.acceptable(latency_seconds=10, service_seconds=0.1) == pytest.approx(100)
    assert backlog.acceptable(latency_seconds=1, service_seconds=30) == 1


@pytest.mark.parametrize("target", [0, -1, math.nan, math.inf, 1e9])
def test_impossible_target_is_named(target: float) -> None:
    with pytest.raises(BadSetting, match="BACKLOG_TARGET is"):
        backlog.values(1, 1, target)
    with pytest.raises(BadSetting, match="BACKLOG_TARGET"):
        TargetTracking(0)


@pytest.mark.parametrize(("visible", "in_flight", "name"), [(-1, 0, "visible"), (0, -1, "in flight")])
def test_negative_count_is_named(visible: int, in_flight: int, name: str) -> None:
    with pytest.raises(BadSetting, match=f"{name} is -1"):
        backlog.backlog(visible, in_flight)
