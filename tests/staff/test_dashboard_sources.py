"""The dashboard reads a source when it is due, waits for none twice, and asks AWS by the names that are deployed."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.conf import settings

from botsite import aws
from botsite.staff.dashboard import alarms
from botsite.staff.dashboard.sources import Source
from metrics import service
from metrics.cloudwatch import Alarm, Metric
from metrics.service import MetricFailed
from tests.support import emulators
from tests.support.local_aws import make_group
from tests.support.processes import wait_until

_numbers = count(1)
SOON = 0.05


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def look(source: Source[Any], pool: ThreadPoolExecutor, seconds: float = 60) -> object:
    """Return what a page that waits so long shows of the source: the value, or the reason for none."""
    source.begin(pool)
    reading = source.reading(time.monotonic() + seconds)
    return reading.data if reading.known else reading.seen


def test_source_is_read_when_it_is_due(pool: ThreadPoolExecutor) -> None:
    now, then = count(), count()
    always, rarely = Source("always", lambda: next(now), 0.0), Source("rarely", lambda: next(then), 3600.0)
    assert [look(always, pool) for _ in range(3)] == [0, 1, 2]
    assert [look(rarely, pool) for _ in range(3)] == [0, 0, 0]


def test_failed_source_is_soon_read_again(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([MetricFailed("ASG_NAME", "denied"), None])

    def read() -> str:
        if error := next(answers):
            raise error
        return "fine"

    monkeypatch.setattr("botsite.staff.dashboard.sources._CACHED_SECONDS", 0.0)
    source = Source("failing", read, 3600.0)
    assert [look(source, pool) for _ in range(3)] == ["denied", "fine", "fine"]


def test_late_source_is_shown_when_it_comes_and_not_waited_for(pool: ThreadPoolExecutor) -> None:
    ended, reads = threading.Event(), count()

    def read() -> int:
        ended.wait()
        return next(reads)

    source = Source("slow", read, 0.0)
    assert look(source, pool, SOON) == "no answer within 6 s"
    began = time.monotonic()
    assert look(source, pool) == "no answer within 6 s"
    assert time.monotonic() - began < 30
    ended.set()
    assert wait_until(lambda: look(source, pool) == 0)
    assert look(source, pool) == 1


@pytest.fixture(scope="module")
def emulator() -> Iterator[None]:
    with emulators.ministack():
        yield


@pytest.fixture
def prefix(emulator: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the prefix of a service that has two of its three groups."""
    prefix = f"fleet{next(_numbers)}"
    make_group(f"{prefix}-yolo5")
    make_group(f"{prefix}-metrics")
    monkeypatch.setattr(settings, "ASG_NAME", f"{prefix}-yolo5")
    return prefix


def test_groups_are_found_by_role(prefix: str) -> None:
    make_group(f"{prefix}x-polybot")
    assert {role: group.name for role, group in service.fleet().items()} == {
        "yolo5": f"{prefix}-yolo5",
        "metricStreamer": f"{prefix}-metrics",
    }


def test_missing_workers_are_an_error_naming_the_setting(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ASG_NAME", "nosuch-yolo5")
    with pytest.raises(MetricFailed, match=r"'nosuch-yolo5' doesn't exist in .*: check ASG_NAME"):
        service.fleet()


def test_history_has_peaks_and_sizes_by_slot(prefix: str) -> None:
    name, now = f"{prefix}-yolo5", datetime.now(UTC)
    metric = {"Namespace": "Test", "MetricName": "BacklogPerInstance", "Statistic": "Average", "Period": 30}
    dimensions = [{"Name": "AutoScalingGroupName", "Value": name}]
    aws.client("autoscaling").put_scaling_policy(
        AutoScalingGroupName=name,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "TargetValue": 480,
            "CustomizedMetricSpecification": metric | {"Dimensions": dimensions},
        },
    )
    begun = datetime.fromtimestamp(now.timestamp() // 60 * 60 - 600, UTC)
    points = [("Test", "BacklogPerInstance", 7, 0), ("Test", "BacklogPerInstance", 90, 30)]
    points += [("AWS/AutoScaling", "GroupDesiredCapacity", 3, 0), ("AWS/AutoScaling", "GroupInServiceInstances", 2, 0)]
    for namespace, metric_name, value, seconds in points:
        data = {"MetricName": metric_name, "Dimensions": dimensions, "Value": value}
        data["Timestamp"] = begun + timedelta(seconds=seconds)
        aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])
    found = service.history(3600, 60)
    values = [[(point.at, point.value) for point in line] for line in (found.backlog, found.desired, found.in_service)]
    assert values == [[(begun.timestamp(), value)] for value in (90, 3, 2)]


def test_alarms_are_those_of_the_service(prefix: str) -> None:
    for name in (f"{prefix}-jobs-dead", f"TargetTracking-{prefix}-yolo5-AlarmHigh-1", f"{prefix}x-jobs-dead"):
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
    found = {alarm.name: alarm.scales for alarm in service.alarms()}
    assert found == {f"{prefix}-jobs-dead": False, f"TargetTracking-{prefix}-yolo5-AlarmHigh-1": True}


def alarm(name: str, state: str, *actions: str) -> Alarm:
    return Alarm(name, f"What to do about {name}.", state, Metric("AWS/SQS", "x"), "", 0, 60, 1, actions)


def test_only_notifying_alarms_need_attention() -> None:
    scaling = alarm("s", "ALARM", "arn:aws:autoscaling:us-east-1:0:scalingPolicy:1:autoScalingGroupName/g:policyName/p")
    on, silent, fine = (
        alarm("a", "ALARM", "arn:aws:sns:us-east-1:0:t"),
        alarm("b", "INSUFFICIENT_DATA"),
        alarm("c", "OK"),
    )
    tiles = alarms.of_alarms([scaling, on, silent, fine]).tiles
    assert [(tile.value, tile.bad) for tile in tiles] == [("1", True), ("1", False), ("1", False)]
    assert tiles[0].note == "of 4"
    assert [tile.bad for tile in alarms.of_alarms([scaling, fine]).tiles] == [False] * 3


def test_alarm_names_its_remedy() -> None:
    table = alarms.of_alarms([alarm("b", "OK"), alarm("a", "ALARM")]).table
    assert table
    assert [(row.key, row.cells[1].text, row.todo, row.bad) for row in (*table.rows, *table.rest)] == [
        ("a", "on", "What to do about a.", True),
        ("b", "fine", "", False),
    ]
