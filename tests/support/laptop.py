"""An emulated Auto Scaling for one test, with one group."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from botsite import aws
from deploy.local.autoscaling.controller import AutoScaling
from deploy.local.autoscaling.credentials import on_instance
from deploy.local.autoscaling.instances import Instance, Role, State, Times
from deploy.local.processes import Child, Children
from metrics import cloudwatch
from tests.support.local_aws import make_group
from tests.support.processes import wait_until

IDLE = [sys.executable, str(Path(__file__).with_name("idle_machine.py"))]
# A period of 30 s takes 1 s, the finest that CloudWatch stores.
TIME_SCALE = 1 / 30
AT_ONCE = Times(boot=0.0, resume=0.0)
numbers = count(1)


class Laptop:
    """An Auto Scaling with one group of at most 4 instances that run `command`; `lines` is what it reported."""

    def __init__(
        self, folder: Path, command: list[str], drain_seconds: int | None = None, times: Times = AT_ONCE
    ) -> None:
        self.name = f"group-{next(numbers)}"
        self.lines: list[str] = []
        self.children = Children(folder)
        make_group(self.name, drain_seconds=drain_seconds)
        self.autoscaling = AutoScaling(self.lines.append, TIME_SCALE, times)
        role = Role("idle", self._start, _said("ready."), prepared=_said("prepared."))
        self.command = command
        self.fleet = self.autoscaling.add(self.name, role, scales=True)
        self.autoscaling.start()

    def _start(self, instance: Instance) -> Child:
        return self.children.start(instance.name, self.command, on_instance(os.environ, instance.metadata_endpoint))

    @property
    def running(self) -> list[Instance]:
        """Return the instances in service."""
        return [one for one in list(self.fleet.instances.values()) if one.state is State.IN_SERVICE]

    @property
    def desired(self) -> int:
        """Return the group's desired capacity."""
        return cloudwatch.groups(self.name)[self.name].desired

    def resize(self, desired: int, **sizes: int) -> None:
        """Resize the group, as an operator would."""
        aws.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=self.name, DesiredCapacity=desired, **sizes
        )

    def keep_warm(self, machines: int, reuse: bool = True) -> None:
        """Give the group a pool for its first so many instances."""
        aws.client("autoscaling").put_warm_pool(
            AutoScalingGroupName=self.name,
            MinSize=0,
            MaxGroupPreparedCapacity=machines,
            PoolState="Stopped",
            InstanceReusePolicy={"ReuseOnScaleIn": reuse},
        )

    @property
    def dimensions(self) -> list[dict[str, str]]:
        """Return the dimensions of the group's metrics."""
        return [{"Name": "AutoScalingGroupName", "Value": self.name}]

    def scale_from_zero(self) -> None:
        """Give the group the policy that starts a first instance, with its alarm."""
        step = aws.client("autoscaling").put_scaling_policy(
            AutoScalingGroupName=self.name,
            PolicyName="first",
            PolicyType="StepScaling",
            AdjustmentType="ChangeInCapacity",
            StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        )
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{self.name}-first",
            Namespace="Test",
            MetricName="BacklogWithoutCapacity",
            Dimensions=self.dimensions,
            Statistic="Maximum",
            Period=30,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[step["PolicyARN"]],
        )

    def stopped(self) -> list[Instance]:
        """Return the instances that are stopped in the pool."""
        return [one for one in list(self.fleet.pool.values()) if one.state is State.STOPPED]

    def run(self, desired: int) -> list[Instance]:
        """Resize the group, wait until so many instances are in service, and return them in order."""
        self.resize(desired)
        wait_until(lambda: len(self.running) == desired)
        return self.running

    def said(self, text: str) -> bool:
        """Return whether a line contains a text."""
        return any(text in line for line in list(self.lines))

    def close(self) -> None:
        self.autoscaling.stop()
        self.children.stop()


def _said(text: str) -> Callable[[Instance], bool]:
    return lambda instance: instance.child is not None and instance.child.said(text)


def publish(here: Laptop, metric: str, value: float, ahead: timedelta = timedelta()) -> None:
    """Publish a value for each of the last seconds, and some to come, on a clock that may be ahead."""
    now = datetime.now(UTC) + ahead
    data = {
        "MetricName": metric,
        "Dimensions": here.dimensions,
        "Value": value,
        "StorageResolution": 1,
    }
    points = [data | {"Timestamp": now + timedelta(seconds=second)} for second in range(-40, 10)]
    aws.client("cloudwatch").put_metric_data(Namespace="Test", MetricData=points)
