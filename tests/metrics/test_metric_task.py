"""The metric is published from the real queue and group, whichever of them cannot be read, and failures are named."""

import logging
import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws, celery, pause
from deploy.local.stack import LocalStack
from detection.record import items, queries, times
from metrics import tasks
from tests.support.cases import slow_after
from tests.support.faulty import FaultySite, failing
from tests.support.metric_group import Group
from tests.support.metric_group import group as group

MISSING_QUEUE = "/000000000000/no-such-queue"


@pytest.fixture
def faulty_aws(site: FaultySite, group: Group, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySite]:
    """Route this process's AWS calls through the faulty proxy, once the group exists."""
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", site.proxy)
    aws._client.cache_clear()
    yield site
    aws._client.cache_clear()


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the events logged so far."""
    caplog.set_level(logging.INFO)
    return lambda: [record.msg for record in caplog.records if isinstance(record.msg, dict)]


def test_work_is_divided_by_desired_capacity(group: Group) -> None:
    group.send(6)
    aws.client("sqs").receive_message(QueueUrl=group.queue_url, MaxNumberOfMessages=2)
    group.resize(4)
    tasks.publish()
    assert group.both == ({1.5}, {0.0})


def test_one_photo_without_machine_is_above_target(group: Group) -> None:
    group.send(1)
    tasks.publish()
    assert group.both == ({11.0}, {1.0})


def test_nothing_to_do_is_real_zero(group: Group) -> None:
    tasks.publish()
    assert group.both == ({0.0}, {0.0})


def test_paused_service_launches_nothing_and_lets_machines_go(
    group: Group, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "KEEP_WARM_SECONDS", 600.0)
    monkeypatch.setattr(pause, "_known", pause._Known())
    group.send(30)
    pause.begin(stack.env["PREDICTIONS_TABLE"], "arn:aws:iam::000000000000:user/ann")
    try:
        tasks.publish()
        group.resize(2)
        tasks.publish()
    finally:
        pause.end(stack.env["PREDICTIONS_TABLE"])
    assert group.both == ({0.0}, {0.0})


def test_publishing_twice_changes_nothing(group: Group) -> None:
    group.send(30)
    group.resize(2)
    tasks.publish()
    tasks.publish()
    assert group.both == ({15.0}, {0.0})


def test_readings_and_values_are_logged(group: Group, events: Callable[[], list[dict[str, Any]]]) -> None:
    group.send(3)
    group.resize(2)
    tasks.publish()
    wanted = {"visible": 3, "in_flight": 0, "desired": 2, "in_service": 2, "pending": 0}
    assert {key: events()[-1][key] for key in wanted} == wanted
    assert events()[-1]["event"] == "metrics_published"


@pytest.mark.parametrize(
    ("setting", "value", "desired", "both"),
    [
        ("JOBS_QUEUE_URL", MISSING_QUEUE, 2, ({10.0}, {0.0})),
        ("JOBS_QUEUE_URL", "", 0, ({11.0}, {1.0})),
        ("ASG_NAME", "no-such-group", 2, ({10.0}, {1.0})),
    ],
)
def test_failing_source_is_named_and_other_suffices(
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    events: Callable[[], list[dict[str, Any]]],
    setting: str,
    value: str,
    desired: int,
    both: tuple[set[float], set[float]],
) -> None:
    group.send(5)
    group.resize(desired)
    monkeypatch.setattr(settings, setting, settings.AWS_ENDPOINT_URL + value if value.startswith("/") else value)
    tasks.publish()
    failed = [event for event in events() if event["event"] == "metric_source_failed"]
    assert [(event["setting"], setting in event["error"]) for event in failed] == [(setting, True)]
    assert group.both == both


@pytest.mark.parametrize("setting", ["ASG_NAME", "METRIC_NAMESPACE"])
def test_empty_setting_is_named_and_does_not_raise(
    group: Group, monkeypatch: pytest.MonkeyPatch, events: Callable[[], list[dict[str, Any]]], setting: str
) -> None:
    monkeypatch.setattr(settings, setting, "")
    tasks.publish()
    assert (events()[-1]["event"], events()[-1]["setting"]) == ("metrics_not_published", setting)


@pytest.mark.parametrize("target", [0.0, -5.0, float("nan")])
def test_impossible_target_is_named_and_does_not_raise(
    group: Group, monkeypatch: pytest.MonkeyPatch, events: Callable[[], list[dict[str, Any]]], target: float
) -> None:
    monkeypatch.setattr(settings, "BACKLOG_TARGET", target)
    tasks.publish()
    assert (events()[-1]["event"], events()[-1]["setting"]) == ("metrics_not_published", "BACKLOG_TARGET")


@pytest.fixture
def table(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use an empty table instead of the one that all tests fill."""
    name, client = f"table-{uuid4().hex[:8]}", aws.client("dynamodb")
    like = client.describe_table(TableName=settings.PREDICTIONS_TABLE)["Table"]
    by_time = next(one for one in like["GlobalSecondaryIndexes"] if one["IndexName"] == "by_time")
    keys = ("prediction_id", "kind", "created_at")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=like["KeySchema"],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        GlobalSecondaryIndexes=[{key: by_time[key] for key in ("IndexName", "KeySchema", "Projection")}],
    )
    monkeypatch.setattr(settings, "PREDICTIONS_TABLE", name)


def _photo(created_at: datetime | str) -> None:
    text = created_at if isinstance(created_at, str) else times.text(created_at)
    item = {"prediction_id": uuid4().hex, items.KIND: items.PHOTO, "created_at": text}
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=item)


def test_group_in_use_shrinks_to_one_machine(group: Group, table: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "KEEP_WARM_SECONDS", 600.0)
    _photo(times.now())
    group.resize(5)
    tasks.publish()
    assert group.both == ({9.5 / 5}, {0.0})


def test_idle_group_without_recent_photo_publishes_zero(
    group: Group, table: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "KEEP_WARM_SECONDS", 600.0)
    _photo(times.now(-timedelta(seconds=601)))
    group.resize(5)
    tasks.publish()
    assert group.both == ({0.0}, {0.0})


def test_missing_table_setting_is_named_and_keeps_machine(
    group: Group, monkeypatch: pytest.MonkeyPatch, events: Callable[[], list[dict[str, Any]]]
) -> None:
    monkeypatch.setattr(settings, "KEEP_WARM_SECONDS", 600.0)
    monkeypatch.setattr(settings, "PREDICTIONS_TABLE", "no-such-table")
    group.resize(1)
    tasks.publish()
    assert [event["setting"] for event in events() if event["event"] == "metric_source_failed"] == ["PREDICTIONS_TABLE"]
    assert group.both == ({9.5}, {0.0})


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_impossible_keep_warm_time_is_named_and_keeps_machine(
    group: Group, monkeypatch: pytest.MonkeyPatch, events: Callable[[], list[dict[str, Any]]], seconds: float
) -> None:
    monkeypatch.setattr(settings, "KEEP_WARM_SECONDS", seconds)
    group.resize(1)
    tasks.publish()
    assert [event["setting"] for event in events() if event["event"] == "machine_kept"] == ["KEEP_WARM_SECONDS"]
    assert group.both == ({9.5}, {0.0})


def test_newest_photo_came_last(table: None) -> None:
    assert queries.seconds_since_newest() == math.inf
    _photo("2026-01-01T00:00:00.000Z")
    _photo(times.now(-timedelta(minutes=5)))
    _photo(times.now(-timedelta(hours=5)))
    assert queries.seconds_since_newest() == pytest.approx(300, abs=30)


def test_photo_from_future_keeps_no_machine(table: None) -> None:
    _photo(times.now(-timedelta(minutes=5)))
    _photo(times.now(timedelta(days=300)))
    assert queries.seconds_since_newest() == pytest.approx(300, abs=30)


def test_missing_time_is_unknown(table: None) -> None:
    _photo("1 January")
    assert queries.seconds_since_newest() is None


FAULTS = ("access denied", "internal error", "connection reset")


@pytest.mark.parametrize("fault", slow_after(1, FAULTS))
@pytest.mark.parametrize(
    ("service", "operation", "setting", "both"),
    [
        ("sqs", "GetQueueAttributes", "JOBS_QUEUE_URL", ({10.0}, {0.0})),
        ("autoscaling", "DescribeAutoScalingGroups", "ASG_NAME", ({10.0}, {1.0})),
    ],
)
def test_failing_source_leaves_no_gap(
    group: Group,
    faulty_aws: FaultySite,
    events: Callable[[], list[dict[str, Any]]],
    fault: str,
    service: str,
    operation: str,
    setting: str,
    both: tuple[set[float], set[float]],
) -> None:
    group.send(3)
    group.resize(2)
    faulty_aws.break_(failing(service, operation, fault))
    tasks.publish()
    assert [event["setting"] for event in events() if event["event"] == "metric_source_failed"] == [setting]
    assert group.both == both


@pytest.mark.parametrize("fault", slow_after(1, FAULTS))
def test_next_tick_publishes_after_cloudwatch_outage(
    group: Group, faulty_aws: FaultySite, events: Callable[[], list[dict[str, Any]]], fault: str
) -> None:
    faulty_aws.break_(failing("cloudwatch", "PutMetricData", fault))
    tasks.publish()
    assert (events()[-1]["event"], events()[-1]["setting"]) == ("metrics_not_published", "METRIC_NAMESPACE")
    faulty_aws.repair()
    tasks.publish()
    assert group.both == ({0.0}, {0.0})


def test_tick_comes_every_half_minute_and_expires() -> None:
    entry = celery.configuration()["beat_schedule"]["metrics.publish"]
    assert entry == {"task": "metrics.publish", "schedule": 30.0, "options": {"queue": "metrics", "expires": 30}}
    assert celery.configuration()["task_routes"]["metrics.*"] == {"queue": "metrics"}
