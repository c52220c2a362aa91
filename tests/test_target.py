"""The target of BacklogPerInstance is what an operator sets, or what a worker does within the goal."""

from collections.abc import Iterator

import pytest

from deploy import provision
from deploy.cfn.cloudformation import StackError
from deploy.local.autoscaling import policies
from deploy.service import Service
from metrics import backlog, policy
from metrics.backlog import Depth
from metrics.evaluation import Point
from metrics.policy import Capacity, Policies
from tests.support import emulators

SERVICE = Service("target")
UNSET = {"BacklogTarget": "0", "LatencyGoalSeconds": "15", "PhotosPerSecond": "0"}


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
    [
        ({}, 480),
        ({"BacklogTarget": "10"}, 10),
        ({"LatencyGoalSeconds": "30"}, 960),
        ({"PhotosPerSecond": "8"}, 120),
        ({"LatencyGoalSeconds": "20", "PhotosPerSecond": "0.5"}, 10),
    ],
)
def test_target_is_set_or_follows_goal_and_speed(aws_url: str, values: dict[str, str], target: float) -> None:
    deployed = _deploy(**values)
    assert sorted(one.target for one in deployed.tracking) == sorted([10, target])
    assert [tuple(one.steps) for one in deployed.steps] == [tuple(one.steps) for one in policy.shipped(target).steps]
    assert float(SERVICE.environment()["BACKLOG_TARGET"]) == target


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
