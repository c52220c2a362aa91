"""The emulated Auto Scaling group runs a process for each instance and carries out the deployed policies."""

import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Never

import pytest

from botsite import aws
from deploy import provision
from deploy.cfn import hold
from deploy.local.autoscaling import asg, instances, policies
from deploy.local.autoscaling.controller import AutoScaling
from deploy.local.autoscaling.instances import Instance, Role, State, Times
from deploy.local.processes import free_port
from deploy.service import Service
from metrics import cloudwatch, policy
from metrics.backlog import BACKLOG, IN_FLIGHT, WITHOUT_CAPACITY
from metrics.cloudwatch import Metric
from metrics.policy import Policies, StepScaling, TargetTracking
from tests.support import emulators
from tests.support.laptop import IDLE, Laptop, publish
from tests.support.local_aws import clients_of, make_group
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def emulator() -> Iterator[None]:
    with emulators.ministack():
        yield


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Callable[..., Laptop]]:
    """Return a function that makes a laptop; each is closed after the test."""
    made: list[Laptop] = []

    def make(command: list[str] = IDLE, drain_seconds: int | None = 60) -> Laptop:
        made.append(Laptop(tmp_path, command, drain_seconds))
        return made[-1]

    yield make
    for one in made:
        one.close()


# --- Instances ----------------------------------------------------------------------------------------------


def test_each_instance_is_process_with_groups_role(laptop: Callable[..., Laptop]) -> None:
    whoami = "import boto3; print(boto3.client('sts', 'us-east-1').get_caller_identity()['Arn'], 'ready.', flush=True)"
    here = laptop([sys.executable, "-c", f"{whoami}\nimport time; time.sleep(60)"])
    running = here.run(2)
    assert len({one.instance_id for one in running}) == 2
    assert all(one.child and one.child.said(f":assumed-role/{here.name}/{one.instance_id} ") for one in running)


def test_leaving_instance_finishes_its_work(laptop: Callable[..., Laptop], tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    here = laptop([*IDLE, str(hold)])
    first, last = here.run(2)
    here.resize(1)
    wait_until(lambda: last.child and last.child.said("finishing."))
    assert (first.state, last.state, last.child and last.child.running) == (State.IN_SERVICE, State.TERMINATING, True)
    hold.unlink()
    wait_until(lambda: last.state is State.TERMINATED)
    assert last.child
    assert (last.child.wait(), last.child.said("left.")) == (0, True)


def test_instance_is_terminated_after_hooks_timeout(laptop: Callable[..., Laptop]) -> None:
    here = laptop([*IDLE, __file__], drain_seconds=1)
    (only,) = here.run(1)
    here.resize(0)
    wait_until(lambda: only.state is State.TERMINATED)
    assert only.child
    assert only.child.wait() == -signal.SIGTERM


def test_instance_ignoring_sigterm_is_killed(laptop: Callable[..., Laptop], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "_STOP_SECONDS", 0.5)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready.', flush=True); time.sleep(60)"
    here = laptop([sys.executable, "-c", deaf], drain_seconds=None)
    (only,) = here.run(1)
    here.resize(0)
    wait_until(lambda: only.state is State.TERMINATED)
    assert only.child
    assert only.child.wait() == -signal.SIGKILL


def test_dead_instance_is_replaced(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    (only,) = here.run(1)
    died = only.child
    assert died
    died.kill()
    wait_until(lambda: only.child is not died and only.state is State.IN_SERVICE)
    assert here.said(f"{only.name} ended with code -9; replacing it")
    assert here.fleet.trouble is None


def test_failure_to_start_instance_is_explained(laptop: Callable[..., Laptop]) -> None:
    here = laptop([sys.executable, "-c", "raise SystemExit('the model is missing')"])
    here.resize(1)
    assert "the model is missing" in (wait_until(lambda: here.fleet.trouble) or "")


def _never(instance: Instance) -> Never:
    pytest.fail(f"{instance.name} was started")


def test_booting_instance_leaves_at_once(tmp_path: Path) -> None:
    lines: list[str] = []
    autoscaling = AutoScaling(lines.append, times=Times(boot=3600, resume=0))
    make_group("booting")
    fleet = autoscaling.add("booting", Role("idle", _never, _never))
    asg.set_desired("booting", 1)
    autoscaling.look()
    (only,) = fleet.instances.values()
    asg.set_desired("booting", 0)
    autoscaling.look()
    autoscaling.stop()
    assert only.state is State.TERMINATED


# --- Scheduled actions ---------------------------------------------------------------------------------------


def test_held_machines_run_until_scheduled_action(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    until = datetime.now(UTC) + timedelta(seconds=3)
    hold.begin(cloudwatch.groups(here.name)[here.name], 2, until, "arn:aws:iam::000000000000:user/ann")
    wait_until(lambda: len(here.running) == 2)
    wait_until(lambda: here.said(f"{here.name}: MinSize 0, by the scheduled action 'hold 2 by user/ann'"))
    assert datetime.now(UTC) > until
    assert (cloudwatch.groups(here.name)[here.name].minimum, hold.read(here.name)) == (0, None)
    here.run(0)


# --- Policies -----------------------------------------------------------------------------------------------


@pytest.fixture
def scaled(laptop: Callable[..., Laptop]) -> Laptop:
    """Return a group with the two policies of deploy/cloudformation/workers.yaml."""
    here = laptop()
    autoscaling = aws.client("autoscaling")
    load = {"Namespace": "Test", "MetricName": "BacklogPerInstance", "Statistic": "Average", "Period": 30}
    autoscaling.put_scaling_policy(
        AutoScalingGroupName=here.name,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "TargetValue": 10,
            "CustomizedMetricSpecification": {**load, "Dimensions": here.dimensions},
        },
    )
    here.scale_from_zero()
    return here


@pytest.mark.smoke
def test_first_photo_starts_exactly_one_machine(scaled: Laptop) -> None:
    publish(scaled, "BacklogWithoutCapacity", 1)
    wait_until(lambda: len(scaled.running) == 1)
    assert scaled.desired == 1
    assert scaled.said(f"{scaled.name}: 0 → 1, BacklogWithoutCapacity is 1")


def test_backlog_above_target_adds_machines_in_proportion(scaled: Laptop) -> None:
    scaled.run(1)
    publish(scaled, "BacklogPerInstance", 35)
    wait_until(lambda: len(scaled.running) == 4)


def test_idle_group_scales_in_to_zero(scaled: Laptop) -> None:
    gone = scaled.run(2)
    publish(scaled, "BacklogPerInstance", 0)
    wait_until(lambda: all(one.state is State.TERMINATED for one in gone))
    assert scaled.desired == 0


def test_metric_of_another_group_is_ignored(scaled: Laptop, laptop: Callable[..., Laptop]) -> None:
    publish(laptop(), "BacklogWithoutCapacity", 1)
    publish(laptop(), "BacklogPerInstance", 100)
    scaled.run(1)
    publish(scaled, "BacklogPerInstance", 0)
    reasons = wait_until(lambda: [line for line in scaled.lines if "→" in line])
    assert reasons == [f"{scaled.name}: 1 → 0, BacklogPerInstance is at most 0, its target 10"]
    assert scaled.desired == 0


# --- Bad input ----------------------------------------------------------------------------------------------


def test_desired_capacity_is_kept_within_bounds(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.resize(7)
    wait_until(lambda: len(here.running) == 4)
    assert here.desired == 4
    assert here.said("7 → 4, to stay within its bounds 0 to 4")


def test_crossed_bounds_are_reported_until_corrected(
    laptop: Callable[..., Laptop],
) -> None:
    here = laptop()
    here.run(1)
    here.resize(1, MinSize=3)
    here.resize(1, MaxSize=2)
    wait_until(lambda: here.said("its MaxSize 2 is below its MinSize 3"))
    here.resize(1, MinSize=2)
    wait_until(lambda: len(here.running) == 2)


def test_missing_group_is_reported_and_served_once_it_exists(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    aws.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=here.name)
    wait_until(lambda: here.said(f"Auto Scaling group {here.name} does not exist"))
    here.name = f"{here.name}-again"
    make_group(here.name)
    here.autoscaling.add(here.name, Role("idle", here._start, lambda instance: True))
    asg.set_desired(here.name, 1)
    wait_until(lambda: here.said("is in service"))


@pytest.mark.parametrize(
    ("service", "text"),
    [
        ("cloudwatch", "stays at 1: its policies or metrics cannot be read"),
        ("autoscaling", "leaving the groups unchanged"),
    ],
)
def test_group_keeps_size_and_heals_while_service_is_down(
    scaled: Laptop, monkeypatch: pytest.MonkeyPatch, service: str, text: str
) -> None:
    (only,) = scaled.run(1)
    there, nowhere = aws.client, clients_of(f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(aws, "client", lambda name: (nowhere if name == service else there)(name))
    wait_until(lambda: scaled.said(text))
    died = only.child
    assert died
    died.kill()
    wait_until(lambda: only.child is not died and only.state is State.IN_SERVICE)
    monkeypatch.undo()
    publish(scaled, "BacklogPerInstance", 0)
    wait_until(lambda: scaled.desired == 0)


def test_points_from_before_clock_change_are_ignored(scaled: Laptop) -> None:
    scaled.run(1)
    publish(scaled, "BacklogPerInstance", 100, ahead=timedelta(hours=1))
    publish(scaled, "BacklogPerInstance", 0)
    wait_until(lambda: scaled.desired == 0)
    assert not scaled.said("1 → 4")


def test_unsupported_policy_is_reported_and_group_runs_on(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    aws.client("autoscaling").put_scaling_policy(
        AutoScalingGroupName=here.name, PolicyName="simple", ScalingAdjustment=1, AdjustmentType="ChangeInCapacity"
    )
    wait_until(lambda: here.said(f"{here.name} is not scaled: {here.name} has the policy simple;"))
    here.run(1)


def test_launch_template_without_role_is_reported(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    iam = aws.client("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName=here.name, RoleName=here.name)
    here.resize(1)
    wait_until(lambda: here.said("has no InstanceType, or no IamInstanceProfile with a role"))
    iam.add_role_to_instance_profile(InstanceProfileName=here.name, RoleName=here.name)
    wait_until(lambda: len(here.running) == 1)


# --- What is deployed ---------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_policies_and_settings_come_from_templates() -> None:
    provision.deploy(Service("try"))
    name, dimensions = "try-yolo5", (("AutoScalingGroupName", "try-yolo5"),)
    launch = asg.launch(cloudwatch.groups(name)[name])
    deployed = policies.of(name)
    assert deployed
    shipped = policy.shipped(270)
    assert sorted(deployed.policies.tracking, key=repr) == sorted(shipped.tracking, key=repr)
    assert [tuple(one.steps) for one in deployed.policies.steps] == [tuple(one.steps) for one in shipped.steps]
    assert deployed.policies.warmup == shipped.warmup
    assert deployed.metrics == {
        BACKLOG: Metric("ObjectDetection", BACKLOG, dimensions, "Average"),
        IN_FLIGHT: Metric("ObjectDetection", IN_FLIGHT, dimensions, "Average"),
        WITHOUT_CAPACITY: Metric("ObjectDetection", WITHOUT_CAPACITY, dimensions, "Maximum"),
    }
    assert (launch.instance_type, launch.drain_seconds) == ("t3.micro", 960)
    assert launch.settings["PREDICTIONS_TABLE"] == "try-predictions"


@pytest.mark.smoke
def test_time_scale_applies_to_every_wait() -> None:
    policies = Policies([TargetTracking(10, period=30)], [StepScaling(period=60)], 180)
    assert policies.scaled(1 / 15) == Policies([TargetTracking(10, period=2)], [StepScaling(period=4)], 12)
