"""The expected wait follows from the queue, the machines and how they start; more machines never make it longer."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import wait
from metrics.backlog import BadSetting, Depth
from metrics.evaluation import Point
from metrics.service import Tracked
from metrics.wait import Starting

START = Starting(boot=180, period=30)
NOW = 1_000_000.0

photos = st.integers(0, 100_000)
starts = st.lists(st.floats(0, 4000), min_size=1, max_size=20)
speeds = st.floats(0.1, 1000)
depths = st.builds(Depth, photos, photos)
few = st.integers(0, 20)
startings = st.builds(
    Starting, st.floats(0, 3600), st.sampled_from([2.0, 10.0, 30.0]), st.none() | st.floats(0, 9000), st.just(True)
)


def launched(seconds_ago: float) -> Starting:
    """Return how machines start if the alarm launched the first ones so long ago."""
    return Starting(boot=180, period=30, unserved=seconds_ago + 10)


@pytest.mark.parametrize(
    ("depth", "desired", "in_service", "start", "expected"),
    [
        pytest.param(Depth(0, 0), 0, 0, START, [220.0], id="nothing runs: the next photo starts a machine"),
        pytest.param(Depth(1, 0), 0, 0, Starting(180, 30, 4), [186.0], id="the metric has told the alarm"),
        pytest.param(Depth(0, 0), 0, 0, Starting(180, 30, 4), [220.0], id="what waited is gone"),
        pytest.param(Depth(1, 0), 0, 0, Starting(180, 30, 25), [180.0], id="the alarm is late"),
        pytest.param(Depth(1, 0), 0, 0, Starting(180, 30, 3600), [220.0], id="the last time was long ago"),
        pytest.param(Depth(1, 0), 0, 0, Starting(180, 30, published=False), [], id="no metric, no machine"),
        pytest.param(Depth(1, 0), 1, 0, START, [180.0], id="pending, nobody knows since when"),
        pytest.param(Depth(1, 0), 1, 0, launched(50), [130.0], id="pending"),
        pytest.param(Depth(1, 0), 1, 1, launched(50), [130.0], id="EC2 is up, the worker is not"),
        pytest.param(Depth(1, 0), 1, 1, launched(300), [0.0], id="overdue: any moment"),
        pytest.param(Depth(1, 0), 1, 1, launched(3000), [0.0], id="launched long ago"),
        pytest.param(Depth(3, 2), 1, 1, launched(50), [0.0], id="up sooner than expected, and busy"),
        pytest.param(Depth(0, 0), 1, 1, launched(50), [0.0], id="up sooner than expected, and idle again"),
        pytest.param(Depth(9, 2), 2, 1, START, [0.0, 180.0], id="one works, one boots"),
        pytest.param(Depth(0, 0), 0, 1, START, [0.0], id="the last one is leaving"),
    ],
)
def test_machines_are_ready_when_launched_and_booted(
    depth: Depth, desired: int, in_service: int, start: Starting, expected: list[float]
) -> None:
    assert wait.ready_in(depth, desired, in_service, start) == expected


@pytest.mark.parametrize(
    ("waiting", "ready", "expected"),
    [
        pytest.param(0, [0.0], 0.0, id="an idle machine"),
        pytest.param(0, [180.0], 180.0, id="a boot"),
        pytest.param(100, [0.0], 10.0, id="one machine"),
        pytest.param(100, [0.0, 0.0], 5.0, id="two machines"),
        pytest.param(100, [0.0, 4.0], 7.0, id="the second comes in time to help"),
        pytest.param(100, [0.0, 60.0], 10.0, id="the second comes too late"),
        pytest.param(2503, [60.0] * 100, 160.0, id="Telegram takes 25 messages a second"),
        pytest.param(5, [], None, id="no machine will come"),
    ],
)
def test_photos_are_shared_by_machines(waiting: int, ready: list[float], expected: float | None) -> None:
    assert wait.seconds(waiting, ready, photos_per_second=10) == pytest.approx(expected)


@given(photos, starts, speeds, st.floats(0, 4000))
def test_another_machine_never_makes_wait_longer(
    waiting: int, ready: list[float], speed: float, another: float
) -> None:
    fewer = wait.seconds(waiting, ready, speed)
    more = wait.seconds(waiting, [*ready, another], speed)
    assert fewer is not None
    assert more is not None
    assert 0 <= more <= fewer


@given(depths, few, few, startings)
def test_larger_group_never_makes_wait_longer(depth: Depth, desired: int, in_service: int, start: Starting) -> None:
    groups = [(desired, in_service), (desired + 1, in_service), (desired + 1, in_service + 1)]
    ready = [wait.ready_in(depth, *group, start) for group in groups]
    waits = [wait.seconds(depth.unfinished, each, 32.0) or 0.0 for each in ready]
    assert all(more <= fewer + 1e-6 for fewer, more in pairwise(waits))
    assert min(waits) >= 0


@given(photos, starts, speeds)
def test_nobody_waits_for_less_than_first_machine_and_work(waiting: int, ready: list[float], speed: float) -> None:
    found = wait.seconds(waiting, ready, speed)
    assert found is not None
    done = sum(max(0.0, found - start) * speed for start in ready)
    assert found >= min(ready)
    assert done >= waiting * (1 - 1e-6) - 1e-6


def test_impossible_speed_is_named() -> None:
    with pytest.raises(BadSetting, match="PHOTOS_PER_SECOND is 0"):
        wait.seconds(1, [0.0], 0)


def test_newest_point_without_capacity_dates_the_launch() -> None:
    unserved = (Point(NOW - 500, 1), Point(NOW - 70, 2), Point(NOW - 40, 0))
    start = wait.starting(Tracked((Point(NOW - 40, 5),), 480, unserved, 180, 30), NOW)
    assert start == Starting(boot=180, period=30, unserved=70, published=True)


@pytest.mark.parametrize(("points", "published"), [((), False), ((Point(NOW - 91, 0),), False)])
def test_silent_metric_starts_no_machine(points: tuple[Point, ...], published: bool) -> None:
    assert wait.starting(Tracked(points, 480, (), 180, 30), NOW).published is published
