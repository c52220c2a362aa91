"""While no worker runs, the dashboard and the site know from AWS when the first is expected."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier

import pytest
from botocore.exceptions import EndpointConnectionError
from django.conf import settings

from botsite import aws
from botsite.staff.dashboard import queue
from metrics import service, wait
from tests.support import emulators
from tests.support.local_aws import make_group

_numbers = count(1)


@pytest.fixture(scope="module", autouse=True)
def emulator() -> Iterator[None]:
    with emulators.ministack():
        yield


@dataclass(frozen=True)
class Workers:
    """The test's own queue, group and metrics."""

    name: str
    queue_url: str

    def wait(self, photos: int, taken: int = 0) -> None:
        """Put photos into the queue, of which a worker takes some."""
        for _ in range(photos):
            aws.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody="x")
        if taken:
            aws.client("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=taken)

    def resize(self, desired: int) -> None:
        """Set the desired capacity; the emulator has the instances in service at once."""
        aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=desired)

    def publish(self, metric: str, value: float, seconds_ago: float = 0) -> None:
        """Publish a value so long ago."""
        point = {
            "MetricName": metric,
            "Dimensions": [{"Name": "AutoScalingGroupName", "Value": self.name}],
            "Value": value,
            "StorageResolution": 1,
            "Timestamp": datetime.now(UTC) - timedelta(seconds=seconds_ago),
        }
        aws.client("cloudwatch").put_metric_data(Namespace="Test", MetricData=[point])


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Return a group without instances that starts as the stacks say; nobody has asked for the wait yet."""
    name = f"first-{next(_numbers)}"
    make_group(name)
    metric = {"Namespace": "Test", "MetricName": "BacklogPerInstance", "Statistic": "Average", "Period": 30}
    metric["Dimensions"] = [{"Name": "AutoScalingGroupName", "Value": name}]
    aws.client("autoscaling").put_scaling_policy(
        AutoScalingGroupName=name,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        EstimatedInstanceWarmup=180,
        TargetTrackingConfiguration={"TargetValue": 480, "CustomizedMetricSpecification": metric},
    )
    queue_url: str = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    for setting, value in {"ASG_NAME": name, "JOBS_QUEUE_URL": queue_url, "PHOTOS_PER_SECOND": 10.0}.items():
        monkeypatch.setattr(settings, setting, value)
    monkeypatch.setattr(wait, "_latest", wait._Latest())
    return Workers(name, queue_url)


@pytest.fixture
def workers(unmeasured: Workers) -> Workers:
    """Return the group, whose metric is published."""
    unmeasured.publish("BacklogPerInstance", 0)
    return unmeasured


def said() -> str:
    """Return what the dashboard says."""
    return queue.first_worker(service.queue(), service.group(), service.tracked(), time.time())


def test_next_photo_starts_a_worker(workers: Workers) -> None:
    assert said() == "No worker is running. The next photo starts one and waits about 4 min."
    assert wait.expected() == 220


def test_waiting_photo_starts_a_worker(workers: Workers) -> None:
    workers.wait(1)
    assert said() == "No worker is running. The first is expected in about 4 min."


def test_launched_worker_is_expected(workers: Workers) -> None:
    workers.wait(5)
    workers.publish("BacklogWithoutCapacity", 5, seconds_ago=45)
    workers.resize(1)
    assert said() == "No worker is running yet. The first is expected in about 2 min (launched 40 s ago)."
    assert wait.expected() == pytest.approx(145, abs=5)


def test_overdue_worker_is_expected_any_moment(workers: Workers) -> None:
    workers.wait(5)
    workers.publish("BacklogWithoutCapacity", 5, seconds_ago=220)
    workers.resize(3)
    assert said() == "No worker is running yet. The first of 3 is expected any moment (launched 4 min ago)."


def test_working_worker_is_not_mentioned(workers: Workers) -> None:
    workers.publish("BacklogWithoutCapacity", 5, seconds_ago=50)
    workers.resize(1)
    workers.wait(21, taken=1)
    assert said() == ""
    assert wait.expected() == pytest.approx(2.1)


def test_idle_worker_means_no_wait(workers: Workers) -> None:
    workers.resize(1)
    assert (said(), wait.expected()) == ("", 0.0)


def test_silent_metric_is_told(unmeasured: Workers) -> None:
    unmeasured.publish("BacklogPerInstance", 0, seconds_ago=95)
    assert said() == "No worker is running. None will start until the metric is published again."
    assert wait.expected() is None


def test_scaled_time_scales_the_start(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "METRIC_PERIOD_SECONDS", 2.0)
    assert wait.expected() == 2 + 2 + 12


@pytest.mark.parametrize("setting", ["ASG_NAME", "JOBS_QUEUE_URL"])
def test_wait_is_unknown_without_setting(workers: Workers, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(settings, setting, "")
    assert wait.expected() is None


def test_wait_is_unknown_while_speed_is_impossible(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PHOTOS_PER_SECOND", 0.0)
    assert wait.expected() is None


def test_many_callers_share_one_reading(workers: Workers) -> None:
    asked: list[str] = []
    aws.client("sqs").meta.events.register("before-call.sqs.GetQueueAttributes", lambda **_: asked.append("queue"))
    together = Barrier(10)

    def ask() -> set[float | None]:
        together.wait()
        return {wait.expected() for _ in range(20)}

    with ThreadPoolExecutor(10) as pool:
        answers = set[float | None]().union(*(one.result() for one in [pool.submit(ask) for _ in range(10)]))
    assert (answers <= {None, 220.0}, wait.expected(), asked) == (True, 220.0, ["queue"])


def test_old_value_is_not_told(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait.expected() == 220
    later = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: later)
    monkeypatch.setattr(settings, "ASG_NAME", "")
    assert wait.expected() is None


def test_unreachable_aws_is_no_error(workers: Workers) -> None:
    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs.example")

    events = aws.client("sqs").meta.events
    events.register("before-call.sqs", fail)
    found = wait.expected()
    events.unregister("before-call.sqs", fail)
    assert found is None
