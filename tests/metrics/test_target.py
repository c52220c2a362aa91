"""The target of BacklogPerInstance is what an operator sets, or what a worker does within the goal."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from botsite import aws
from deploy import provision
from deploy.cfn.cloudformation import StackError
from deploy.local.autoscaling import policies
from deploy.provision import target
from deploy.service import Service
from metrics import backlog, policy
from metrics.backlog import Depth
from metrics.evaluation import Point
from metrics.policy import Capacity, Policies
from tests.support import emulators, measured
from tests.support.cases import slow_after
from tests.support.deployed import instance_settings

SERVICE = Service("target")
_numbers = count(1)
UNSET = {"BacklogTarget": "0", "LatencyGoalSeconds": "15", "PhotosPerSecond": "0", "WorkerType": "t3.micro"}


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    with emulators.ministack() as url:
        yield url


def _deploy(**values: str) -> Policies:
    provision.deploy(SERVICE, UNSET | values)
    deployed = policies.of("target-yolo5")
    assert deployed
    return deployed.policies


@pytest.mark.parametrize(
    ("values", "target"),
    slow_after(
        3,
        [
            ({}, 270),
            ({"BacklogTarget": "10"}, 10),
            ({"LatencyGoalSeconds": "30"}, 540),
            ({"WorkerType": "c7g.large"}, 750),
            ({"WorkerType": "x9.huge"}, 480),
            ({"PhotosPerSecond": "8"}, 120),
            ({"LatencyGoalSeconds": "20", "PhotosPerSecond": "0.5"}, 10),
        ],
    ),
)
def test_target_is_set_or_follows_goal_and_speed(aws_url: str, values: dict[str, str], target: float) -> None:
    deployed = _deploy(**values)
    assert sorted(one.target for one in deployed.tracking) == sorted([10, target])
    assert [tuple(one.steps) for one in deployed.steps] == [tuple(one.steps) for one in policy.shipped(target).steps]
    assert float(SERVICE.environment()["BACKLOG_TARGET"]) == target


@pytest.mark.parametrize(
    ("values", "speed"),
    [
        ({}, "18"),
        ({"BacklogTarget": "10"}, "18"),
        ({"PhotosPerSecond": "0.5", "LatencyGoalSeconds": "20"}, "0.5"),
        ({"WorkerType": "c7i-flex.large"}, "25"),
    ],
)
def test_sites_are_told_how_fast_a_worker_is(aws_url: str, values: dict[str, str], speed: str) -> None:
    _deploy(**values)
    assert instance_settings(SERVICE.prefix, "polybot")["PHOTOS_PER_SECOND"] == speed


@pytest.mark.slow
def test_sites_are_not_replaced_for_a_little_more_speed(own: Service) -> None:
    provision.deploy(own, {"BacklogTarget": "10"})
    measured.store(_table(own), 100, cpu_ms=90, cpus=2)
    assert set(provision.deploy(own).values()) == {"unchanged"}
    measured.store(_table(own), 100, cpu_ms=50, cpus=2)
    assert target.steps(own, {})["WorkerPhotosPerSecond"] == "40"


def test_target_is_kept_by_the_next_provision(aws_url: str) -> None:
    _deploy(BacklogTarget="12")
    provision.deploy(SERVICE)
    assert float(SERVICE.environment()["BACKLOG_TARGET"]) == 12


def test_eleven_waiting_per_machine_are_more_than_ten(aws_url: str) -> None:
    deployed = _deploy(BacklogTarget="10")
    values = backlog.values(Depth(visible=22, in_flight=0), 2, 10)
    points = {name: [Point(30.0 * tick, value) for tick in range(4)] for name, value in values.by_name().items()}
    assert policy.decide(deployed, points, Capacity(2, 0, 4), 120).desired == 3


def test_goal_below_the_time_of_one_photo_is_refused(aws_url: str) -> None:
    with pytest.raises(StackError, match="one photo takes 2 s: raise the goal"):
        provision.deploy(SERVICE, UNSET | {"LatencyGoalSeconds": "1", "PhotosPerSecond": "0.5"})


@pytest.mark.slow
def test_target_follows_newest_hundred_photos(own: Service) -> None:
    measured.store(_table(own), 99, cpu_ms=50, cpus=2)
    assert _target(own) == 270
    measured.store(_table(own), 1, cpu_ms=50, cpus=2)
    # 25 ms of the whole machine each: 40 a second.
    assert _target(own) == 600
    measured.store(_table(own), 100, cpu_ms=100, cpus=2)
    assert _target(own) == 300


@pytest.mark.slow
def test_target_stays_while_the_speed_is_a_quarter_off_at_most(own: Service) -> None:
    measured.store(_table(own), 100, cpu_ms=90, cpus=2)
    assert set(provision.deploy(own).values()) == {"unchanged"}
    # Another goal counts at once, with the speed that was deployed.
    assert _target(own, {"LatencyGoalSeconds": "20"}) == 360


@pytest.mark.parametrize(("cpu_ms", "target"), slow_after(1, [(1, 4 * 270), (100_000, 67.5)]))
def test_speed_beyond_belief_is_bounded(own: Service, cpu_ms: int, target: float) -> None:
    measured.store(_table(own), 100, cpu_ms=cpu_ms, cpus=2)
    assert _target(own) == target


@pytest.mark.parametrize(
    "item", slow_after(1, [{}, {"cpu_ms": 0, "cpus": 2}, {"cpu_ms": "fast", "cpus": 2}, {"cpu_ms": 9, "cpus": -1}])
)
def test_items_without_a_measurement_count_for_nothing(own: Service, item: dict[str, Any]) -> None:
    measured.store(_table(own), 100, **item)
    assert _target(own) == 270


def test_another_type_begins_with_its_own_number(own: Service) -> None:
    measured.store(_table(own), 100, cpu_ms=50, cpus=2)
    assert _target(own, {"WorkerType": "c7i-flex.large"}) == 375


def test_unreadable_table_leaves_the_number_of_the_type(own: Service) -> None:
    aws.dynamodb().update_table(TableName=_table(own), DeletionProtectionEnabled=False)
    aws.dynamodb().delete_table(TableName=_table(own))
    assert target.steps(own, {})["BacklogSteps"].startswith("270,540,")


@pytest.fixture
def own(aws_url: str) -> Service:
    """A service of this test's own."""
    service = Service(f"own-{next(_numbers)}")
    provision.deploy(service)
    return service


def _table(service: Service) -> str:
    return service.output("storage", "PredictionsTableName")


def _target(service: Service, values: dict[str, str] | None = None) -> float:
    provision.deploy(service, values)
    return float(service.environment()["BACKLOG_TARGET"])
