"""The group is scaled as EC2 Auto Scaling scales it: by alarms over periods, out in proportion, in with care."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from metrics.alarms import Alarm, Point
from metrics.backlog import BadSetting
from metrics.policy import Decision, Group, History, Policies, Step, StepScaling, TargetTracking, decide

TARGET, PERIOD = 10.0, 30.0
POLICIES = Policies(TargetTracking(TARGET, PERIOD))
GROUP = Group(desired=4, minimum=0, maximum=100)


def _points(*values: float | None) -> list[Point]:
    """Return a point in the middle of each period; None is one that is missing."""
    return [Point(PERIOD * (index + 0.5), value) for index, value in enumerate(values) if value is not None]


def _after(*values: float | None, group: Group = GROUP, policies: Policies = POLICIES) -> Decision:
    """Decide when the period of the last value is over."""
    return decide(policies, History(_points(*values)), group, PERIOD * len(values))


def _waiting(*values: float, group: Group, policies: Policies = POLICIES) -> Decision:
    return decide(policies, History((), _points(*values)), group, PERIOD * len(values))


@pytest.mark.parametrize(("values", "desired"), [([20], 4), ([20, 20], 4), ([20, 20, 20], 8), ([20, 10, 20], 4)])
def test_three_periods_above_the_target_scale_out(values: list[float], desired: int) -> None:
    assert _after(*values).desired == desired


@pytest.mark.parametrize(("value", "desired"), [(10.1, 5), (15, 6), (100 / 4, 10), (1000, 100)])
def test_out_is_in_proportion_rounded_up_and_bounded(value: float, desired: int) -> None:
    assert _after(value, value, value).desired == desired


def test_a_hundredth_of_a_cent_of_float_is_no_machine() -> None:
    group = replace(GROUP, desired=3)
    assert _after(*[100 / 3] * 3, group=group).desired == 10


def test_at_the_target_nothing_changes() -> None:
    assert _after(*[TARGET] * 20).desired == GROUP.desired


@pytest.mark.parametrize(("count", "desired"), [(14, 4), (15, 2)])
def test_in_takes_fifteen_periods(count: int, desired: int) -> None:
    assert _after(*[5] * count).desired == desired


def test_in_needs_less_than_nine_tenths_of_the_target() -> None:
    assert _after(*[9] * 20).desired == 4
    assert _after(*[8.9] * 20, group=replace(GROUP, desired=20)).desired == 18


def test_in_leaves_what_keeps_the_highest_of_the_low_values_at_the_target() -> None:
    assert _after(7, *[0] * 14).desired == 3
    assert _after(*[0] * 15).desired == 0


def test_in_does_not_go_below_the_minimum_and_can_be_forbidden() -> None:
    assert _after(*[0] * 15, group=replace(GROUP, minimum=2)).desired == 2
    forbidden = replace(POLICIES, tracking=replace(POLICIES.tracking, scale_in=False))
    assert _after(*[0] * 15, policies=forbidden).desired == 4


def test_in_waits_while_a_machine_warms_up_and_out_does_not() -> None:
    group = replace(GROUP, warming=1)
    assert _after(*[0] * 15, group=group).desired == 4
    assert _after(*[20] * 3, group=group).desired == 8


def test_a_value_from_before_the_last_change_is_not_multiplied_with_the_new_size() -> None:
    group = replace(GROUP, desired=8, changed_at=PERIOD * 3)
    assert _after(20, 20, 20, group=group).desired == 8
    assert _after(20, 20, 20, 10.1, group=group).desired == 9


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    assert _after(20, 20, 20, group=replace(GROUP, changed_at=9e9)).desired == 8


def test_without_data_nothing_changes() -> None:
    assert _after(None, None, None) == Decision(4, "no alarm asks for a change", *[Alarm.INSUFFICIENT_DATA] * 3)
    assert _after(20, 20, 20, *[None] * 5).high is Alarm.INSUFFICIENT_DATA


@pytest.mark.parametrize("values", [[20, None, 20, 20], [20, 20, 20, None], [20, None, 20, None, 20]])
def test_a_late_or_missing_point_is_made_up_for_by_those_before(values: list[float | None]) -> None:
    assert _after(*values).desired == 8


def test_a_metric_that_misses_every_other_period_still_scales_in() -> None:
    assert _after(*[0, None] * 6, 0).low is Alarm.INSUFFICIENT_DATA
    assert _after(*[0, None] * 7, 0).desired == 0


def test_a_value_above_is_no_alarm_before_its_time_and_one_after_it_if_nothing_denies_it() -> None:
    assert _after(None, None, None, 20, None).high is Alarm.INSUFFICIENT_DATA
    assert _after(None, None, 20, None, None).high is Alarm.ALARM
    assert _after(None, None, 20, None, 10).high is Alarm.OK


def test_several_points_of_a_period_count_as_their_average() -> None:
    doubled = [*_points(20, 20, 20), *_points(20, 20, 20)]
    assert decide(POLICIES, History(doubled), GROUP, PERIOD * 3).desired == 8


def test_the_first_machine_comes_after_one_period() -> None:
    assert _waiting(1, group=replace(GROUP, desired=0)).desired == 1
    assert _waiting(0, group=replace(GROUP, desired=0)).desired == 0


def test_an_alarm_that_goes_on_while_the_first_warms_up_adds_nothing() -> None:
    assert _waiting(1, 1, 1, group=replace(GROUP, desired=1, warming=1)).desired == 1


@pytest.mark.parametrize(("waiting", "desired"), [(1, 1), (19, 1), (20, 2), (500, 8)])
def test_steps_may_send_more_at_once(waiting: float, desired: int) -> None:
    steps = replace(POLICIES, first=StepScaling(steps=(Step(0, 1), Step(20, 2), Step(80, 8))))
    assert _waiting(waiting, group=replace(GROUP, desired=0), policies=steps).desired == desired


def test_of_two_policies_the_larger_capacity_wins() -> None:
    history = History(_points(*[0] * 15), _points(*[3] * 15))
    assert decide(POLICIES, history, GROUP, PERIOD * 15).desired == 5


def test_a_group_that_was_edited_by_hand_is_brought_back_into_its_bounds() -> None:
    assert _after(10, group=replace(GROUP, desired=9, maximum=6)).desired == 6
    assert _after(10, group=replace(GROUP, desired=0, minimum=2)).desired == 2


def test_target_tracking_alone_leaves_zero_too() -> None:
    alone = replace(POLICIES, first=None)
    assert _after(*[11] * 3, group=replace(GROUP, desired=0), policies=alone).desired == 1


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: TargetTracking(0), "BACKLOG_TARGET"),
        (lambda: TargetTracking(-3), "BACKLOG_TARGET"),
        (lambda: TargetTracking(10, period=0), "period"),
        (lambda: StepScaling(periods=0), "periods of the step policy"),
        (lambda: Group(1, 3, 2), "minimum 3, maximum 2"),
        (lambda: Group(-1, 0, 2), "desired is -1"),
    ],
)
def test_what_cannot_be_is_named(make: Callable[[], object], name: str) -> None:
    with pytest.raises(BadSetting, match=name):
        make()
