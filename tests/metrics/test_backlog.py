"""The published values wake a group at 0, let an idle one sleep, and are safe while something cannot be read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import backlog, policy
from metrics.backlog import BadSetting, Depth, Values
from metrics.evaluation import Point
from metrics.policy import Capacity, TargetTracking, decide

messages = st.integers(0, 10**9)
depths = st.builds(Depth, messages, messages)
machines = st.integers(0, 1000)
targets = st.floats(0.01, 1_000_000)
HOUR = 3600.0


@given(depths, targets)
def test_work_without_machine_is_above_target(depth: Depth, target: float) -> None:
    values = backlog.values(depth, 0, target)
    assert (values.backlog_per_instance > target) == (depth.unfinished > 0)
    assert values.backlog_without_capacity == depth.unfinished


@given(machines, targets)
def test_no_work_is_real_zero(desired: int, target: float) -> None:
    assert backlog.values(Depth(0, 0), desired, target) == Values(0.0, 0.0, 0.0)


@given(depths, st.integers(1, 1000), targets)
def test_value_is_work_per_machine(depth: Depth, desired: int, target: float) -> None:
    values = backlog.values(depth, desired, target)
    assert values == Values(depth.unfinished / desired, depth.in_flight / desired, 0.0)


@given(depths, st.integers(1, 1000), targets)
def test_group_in_use_has_at_least_the_work_for_one_machine(depth: Depth, desired: int, target: float) -> None:
    values = backlog.values(depth, desired, target, keep=True)
    assert values == Values(max(depth.unfinished, 0.95 * target) / desired, depth.in_flight / desired, 0.0)


@given(st.integers(0, 1000), targets)
def test_idle_group_in_use_shrinks_to_one_machine(desired: int, target: float) -> None:
    values = backlog.values(Depth(0, 0), desired, target, keep=True)
    assert _after_an_hour(values, Capacity(desired, 0, 1000), target) == min(desired, 1)


@given(depths, st.integers(1, 1000), targets)
def test_standby_is_one_more_machine_at_its_targets(depth: Depth, desired: int, target: float) -> None:
    values = backlog.values(depth, desired, target, keep=True, standby=True)
    beyond = max(0.0, depth.unfinished - target), max(0.0, depth.in_flight - 10.0)
    assert values == Values(beyond[0] / desired, beyond[1] / desired, 0.0)


@pytest.mark.parametrize(
    ("depth", "machines"),
    [(Depth(0, 1), 0), (Depth(0, 16), 0), (Depth(254, 16), 0), (Depth(255, 16), 1), (Depth(2 * 270 + 1, 0), 2)],
)
def test_standby_leaves_what_exceeds_the_goal_to_the_group(depth: Depth, machines: int) -> None:
    values = backlog.values(depth, 0, 270.0, keep=True, standby=True)
    assert _after_an_hour(values, Capacity(0, 0, 1000), 270.0) == machines


@given(st.integers(0, 10), st.integers(1, 1000), targets)
def test_group_goes_while_standby_has_enough_for_all(in_flight: int, desired: int, target: float) -> None:
    values = backlog.values(Depth(0, min(in_flight, int(target))), desired, target, keep=True, standby=True)
    assert _after_an_hour(values, Capacity(desired, 0, 1000), target) == 0


@given(st.one_of(st.none(), depths), st.one_of(st.none(), machines), targets)
def test_standby_changes_nothing_while_something_is_unreadable(
    depth: Depth | None, desired: int | None, target: float
) -> None:
    if depth is None or desired is None:
        assert backlog.values(depth, desired, target, standby=True) == backlog.values(depth, desired, target)


@pytest.mark.parametrize(
    ("since_photo", "keep_warm", "in_use"),
    [
        pytest.param(0.0, 600.0, True, id="a photo right now"),
        pytest.param(-5.0, 600.0, True, id="a photo by a clock that is ahead"),
        pytest.param(599.0, 600.0, True, id="a photo within the time"),
        pytest.param(600.0, 600.0, False, id="no photo within the time"),
        pytest.param(math.inf, 600.0, False, id="no photo ever"),
        pytest.param(None, 600.0, True, id="unknown: keep"),
        pytest.param(0.0, 0.0, False, id="turned off"),
        pytest.param(None, 0.0, False, id="turned off, unknown"),
    ],
)
def test_service_is_in_use_for_a_while_after_a_photo(since_photo: float | None, keep_warm: float, in_use: bool) -> None:
    assert backlog.in_use(since_photo, keep_warm) is in_use


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_impossible_keep_warm_time_is_named(seconds: float) -> None:
    with pytest.raises(BadSetting, match="KEEP_WARM_SECONDS is"):
        backlog.in_use(0, seconds)


@pytest.mark.parametrize(
    ("work", "desired"), [(None, 3), (None, 1), (0, None), (7, None), (None, None), (0, 3), (0, 1)]
)
def test_unreadable_sources_keep_one_machine(work: int | None, desired: int | None) -> None:
    values = backlog.values(None if work is None else Depth(work, 0), desired, 10, keep=True)
    for size in [desired] if desired else [1, 3]:
        assert _after_an_hour(values, Capacity(size, 0, 1000), 10) >= 1


@given(depths, machines, machines, targets)
def test_no_state_is_a_deadlock(depth: Depth, desired: int, pending: int, target: float) -> None:
    """Published long enough, the values bring every group to the right size, whatever is still pending."""
    maximum, pending = 1000, min(pending, desired)
    work = depth.unfinished
    values = backlog.values(depth, desired, target)
    after = _after_an_hour(values, Capacity(desired, 0, maximum, warming=pending), target)
    if work and not desired:
        assert after >= 1
    if work and desired:
        assert after >= min(maximum, math.ceil(round(work / target, 6)))
        assert after >= 1
    if not work and not pending:
        assert after == 0


@pytest.mark.parametrize(
    ("work", "desired", "published", "asleep", "three"),
    [
        pytest.param(None, 3, Values(10, 10, 0), 0, 3, id="no depth, 3 machines: stay"),
        pytest.param(None, 0, Values(11, 10, 1), 1, 4, id="no depth, no machine: there may be work, wake one"),
        pytest.param(0, None, Values(0, 0, 0), 0, 0, id="no work: nobody is needed, however many there are"),
        pytest.param(7, None, Values(10, 10, 1), 1, 4, id="work, no size: one more at most, so that there is one"),
        pytest.param(None, None, Values(10, 10, 0), 0, 3, id="nothing known: stay"),
    ],
)
def test_failed_reads_strand_no_photo_and_stop_no_machine(
    work: int | None, desired: int | None, published: Values, asleep: int, three: int
) -> None:
    assert backlog.values(None if work is None else Depth(work, 0), desired, 10) == published
    assert _after_an_hour(published, Capacity(0, 0, 1000), 10) == asleep
    assert _after_an_hour(published, Capacity(3, 0, 1000), 10) == three


def _after_an_hour(values: Values, capacity: Capacity, target: float) -> int:
    """Return the capacity the policies ask for after an hour of these values."""
    times = [30.0 * tick for tick in range(int(HOUR / 30))]
    points = {name: [Point(at, value) for at in times] for name, value in values.by_name().items()}
    # When the last point is in the last complete period of each alarm.
    return decide(policy.shipped(target), points, capacity, times[-1] + 30).desired


def test_acceptable_backlog_is_finished_in_time() -> None:
    assert backlog.acceptable(latency_goal_seconds=15, photos_per_second=32) == 480
    assert backlog.acceptable(latency_goal_seconds=60, photos_per_second=1 / 60) == 1


@pytest.mark.parametrize(
    ("goal", "speed", "said"),
    [
        (0, 32, "LATENCY_GOAL_SECONDS is 0"),
        (math.nan, 32, "LATENCY_GOAL_SECONDS is nan"),
        (15, 0, "PHOTOS_PER_SECOND is 0"),
        (15, -1, "PHOTOS_PER_SECOND is -1"),
        (0.5, 1, "one photo takes 1 s: raise the goal"),
    ],
)
def test_impossible_goal_or_speed_is_named(goal: float, speed: float, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        backlog.acceptable(goal, speed)


@pytest.mark.parametrize("target", [0, -1, math.nan, math.inf, 1e9])
def test_impossible_target_is_named(target: float) -> None:
    with pytest.raises(BadSetting, match="BACKLOG_TARGET is"):
        backlog.values(Depth(1, 0), 1, target)
    with pytest.raises(BadSetting, match="BACKLOG_TARGET"):
        TargetTracking(0)


@pytest.mark.parametrize(("visible", "in_flight", "name"), [(-1, 0, "visible"), (0, -1, "in flight")])
def test_negative_count_is_named(visible: int, in_flight: int, name: str) -> None:
    with pytest.raises(BadSetting, match=f"{name} is -1"):
        Depth(visible, in_flight)
