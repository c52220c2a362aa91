"""The group scales as EC2 Auto Scaling does: by alarms over periods, out in proportion, in with care."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from metrics import policy
from metrics.backlog import BACKLOG, IN_FLIGHT, WITHOUT_CAPACITY, BadSetting
from metrics.evaluation import AlarmState, Point
from metrics.policy import Capacity, Decision, Policies, Step, StepScaling, TargetTracking, decide

TARGET, PERIOD = 10.0, 30.0
POLICIES = Policies([TargetTracking(TARGET, PERIOD)], [StepScaling()])
HIGH, LOW = f"{BACKLOG} high", f"{BACKLOG} low"
CAPACITY = Capacity(desired=4, minimum=0, maximum=100)


def _points(*values: float | None) -> list[Point]:
    """Return a point in the middle of each period; None is a missing one."""
    return [Point(PERIOD * (index + 0.5), value) for index, value in enumerate(values) if value is not None]


def _after(*values: float | None, capacity: Capacity = CAPACITY, policies: Policies = POLICIES) -> Decision:
    """Decide at the end of the last value's period."""
    return decide(policies, {BACKLOG: _points(*values)}, capacity, PERIOD * len(values))


def _waiting(*values: float, capacity: Capacity, policies: Policies = POLICIES) -> Decision:
    return decide(policies, {WITHOUT_CAPACITY: _points(*values)}, capacity, PERIOD * len(values))


@pytest.mark.parametrize(("values", "desired"), [([20], 4), ([20, 20], 4), ([20, 20, 20], 8), ([20, 10, 20], 4)])
def test_three_periods_above_target_scale_out(values: list[float], desired: int) -> None:
    assert _after(*values).desired == desired


@pytest.mark.parametrize(("value", "desired"), [(10.1, 5), (15, 6), (100 / 4, 10), (1000, 100)])
def test_scale_out_is_proportional_rounded_up_and_bounded(value: float, desired: int) -> None:
    assert _after(value, value, value).desired == desired


def test_float_rounding_adds_no_machine() -> None:
    capacity = replace(CAPACITY, desired=3)
    assert _after(*[100 / 3] * 3, capacity=capacity).desired == 10


def test_nothing_changes_at_target() -> None:
    assert _after(*[TARGET] * 20).desired == CAPACITY.desired


@pytest.mark.parametrize(("count", "desired"), [(14, 4), (15, 2)])
def test_scale_in_takes_fifteen_periods(count: int, desired: int) -> None:
    assert _after(*[5] * count).desired == desired


def test_scale_in_needs_less_than_nine_tenths_of_target() -> None:
    assert _after(*[9] * 20).desired == 4
    assert _after(*[8.9] * 20, capacity=replace(CAPACITY, desired=20)).desired == 18


def test_scale_in_keeps_enough_for_highest_low_value() -> None:
    assert _after(7, *[0] * 14).desired == 3
    assert _after(*[0] * 15).desired == 0


def test_scale_in_respects_minimum_and_can_be_disabled() -> None:
    assert _after(*[0] * 15, capacity=replace(CAPACITY, minimum=2)).desired == 2
    forbidden = replace(POLICIES, tracking=[TargetTracking(TARGET, PERIOD, scale_in=False)])
    assert _after(*[0] * 15, policies=forbidden).desired == 4


def test_only_scale_in_waits_for_warming_machines() -> None:
    capacity = replace(CAPACITY, warming=1)
    assert _after(*[0] * 15, capacity=capacity).desired == 4
    assert _after(*[20] * 3, capacity=capacity).desired == 8


def test_earlier_values_are_not_applied_to_new_size() -> None:
    capacity = replace(CAPACITY, desired=8, changed_at=PERIOD * 3)
    assert _after(20, 20, 20, capacity=capacity).desired == 8
    assert _after(20, 20, 20, 10.1, capacity=capacity).desired == 9


def test_clock_set_back_does_not_stop_scaling() -> None:
    assert _after(20, 20, 20, capacity=replace(CAPACITY, changed_at=9e9)).desired == 8


def test_without_data_nothing_changes() -> None:
    unknown = dict.fromkeys((HIGH, LOW, WITHOUT_CAPACITY), AlarmState.INSUFFICIENT_DATA)
    assert _after(None, None, None) == Decision(4, "no alarm asks for a change", unknown)
    assert _after(20, 20, 20, *[None] * 5).alarms[HIGH] is AlarmState.INSUFFICIENT_DATA


@pytest.mark.parametrize("values", [[20, None, 20, 20], [20, 20, 20, None], [20, None, 20, None, 20]])
def test_earlier_points_stand_in_for_missing_ones(values: list[float | None]) -> None:
    assert _after(*values).desired == 8


def test_metric_missing_every_other_period_still_scales_in() -> None:
    assert _after(*[0, None] * 6, 0).alarms[LOW] is AlarmState.INSUFFICIENT_DATA
    assert _after(*[0, None] * 7, 0).desired == 0


def test_single_high_value_alarms_only_when_old_enough() -> None:
    assert _after(None, None, None, 20, None).alarms[HIGH] is AlarmState.INSUFFICIENT_DATA
    assert _after(None, None, 20, None, None).alarms[HIGH] is AlarmState.ALARM
    assert _after(None, None, 20, None, 10).alarms[HIGH] is AlarmState.OK


def test_points_of_one_period_are_averaged() -> None:
    doubled = [*_points(20, 20, 20), *_points(20, 20, 20)]
    assert decide(POLICIES, {BACKLOG: doubled}, CAPACITY, PERIOD * 3).desired == 8


def test_first_machine_comes_after_one_period() -> None:
    assert _waiting(1, capacity=replace(CAPACITY, desired=0)).desired == 1
    assert _waiting(0, capacity=replace(CAPACITY, desired=0)).desired == 0


def test_alarm_adds_nothing_while_first_machine_warms_up() -> None:
    assert _waiting(1, 1, 1, capacity=replace(CAPACITY, desired=1, warming=1)).desired == 1


@pytest.mark.parametrize(("waiting", "desired"), [(1, 1), (19, 1), (20, 2), (500, 8)])
def test_steps_can_add_several_machines_at_once(waiting: float, desired: int) -> None:
    steps = replace(POLICIES, steps=[StepScaling((Step(0, 1), Step(20, 2), Step(80, 8)))])
    assert _waiting(waiting, capacity=replace(CAPACITY, desired=0), policies=steps).desired == desired


def test_larger_capacity_of_two_policies_wins() -> None:
    points = {BACKLOG: _points(*[0] * 15), WITHOUT_CAPACITY: _points(*[3] * 15)}
    assert decide(POLICIES, points, CAPACITY, PERIOD * 15).desired == 5


SHIPPED = policy.shipped(480)


def _shipped(backlog: float, in_flight: float, capacity: Capacity = CAPACITY) -> int:
    """Return the capacity after half an hour of these values, per instance."""
    points = {BACKLOG: _points(*[backlog] * 60), IN_FLIGHT: _points(*[in_flight] * 60)}
    return decide(SHIPPED, points, capacity, PERIOD * 60).desired


def test_group_shrinks_only_if_both_target_tracking_policies_agree() -> None:
    assert _shipped(backlog=100, in_flight=9.5) == 4
    assert _shipped(backlog=470, in_flight=1) == 4
    assert _shipped(backlog=100, in_flight=5) == 2


def test_group_grows_if_either_target_tracking_policy_wants_it_to() -> None:
    assert _shipped(backlog=20, in_flight=16) == 7
    assert _shipped(backlog=1000, in_flight=0) == 9
    assert _shipped(backlog=1000, in_flight=16) == 9


def test_group_stays_while_one_of_its_metrics_is_missing() -> None:
    assert decide(SHIPPED, {BACKLOG: _points(*[0] * 60)}, CAPACITY, PERIOD * 60).desired == 4


@pytest.mark.parametrize(("waiting", "machines"), [(1, 1), (479, 1), (480, 2), (3000, 7), (10**6, 10)])
def test_first_machines_are_as_many_as_meet_the_goal(waiting: int, machines: int) -> None:
    points = {WITHOUT_CAPACITY: [Point(15, waiting)]}
    assert decide(SHIPPED, points, Capacity(0, 0, 100), 20).desired == machines


def test_group_outside_its_bounds_is_brought_back() -> None:
    assert _after(10, capacity=replace(CAPACITY, desired=9, maximum=6)).desired == 6
    assert _after(10, capacity=replace(CAPACITY, desired=0, minimum=2)).desired == 2


def test_target_tracking_alone_leaves_zero_too() -> None:
    alone = replace(POLICIES, steps=())
    assert _after(*[11] * 3, capacity=replace(CAPACITY, desired=0), policies=alone).desired == 1


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: TargetTracking(0), "BACKLOG_TARGET"),
        (lambda: TargetTracking(-3), "BACKLOG_TARGET"),
        (lambda: TargetTracking(10, period=0), "period"),
        (lambda: StepScaling(periods=0), "periods of the step policy"),
        (lambda: Capacity(1, 3, 2), "minimum 3, maximum 2"),
        (lambda: Capacity(-1, 0, 2), "desired is -1"),
    ],
)
def test_impossible_numbers_are_named(make: Callable[[], object], name: str) -> None:
    with pytest.raises(BadSetting, match=name):
        make()
