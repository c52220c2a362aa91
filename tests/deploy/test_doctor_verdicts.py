"""How `doctor` judges what it finds: by numbers made up here, most of which an emulator never has."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from django.conf import settings

from deploy.certificates import self_signed
from deploy.doctor import bot, edge, machines, region, signals
from deploy.images.ami import Image
from deploy.service import Service
from deploy.webhook.guests import GuestMode
from metrics.cloudwatch import Alarm, Group, Instance, LaunchTemplate, Metric
from metrics.health.alarms import judge_alarms
from metrics.health.findings import Finding, Health, worst

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOST = "bot.example.com"
APP = Service("app")
TEMPLATE = LaunchTemplate("lt-1", "1")


def group(healthy: int, *suspended: str) -> Group:
    """Return a group that wants two machines."""
    made = tuple(Instance(f"i-{one}", "a", "InService", True, TEMPLATE) for one in range(healthy))
    return Group("g", 2, 2, 2, made, TEMPLATE, "EC2", suspended)


def alarm(name: str, state: str, namespace: str) -> Alarm:
    """Return an alarm; that of the first worker and those of target tracking scale."""
    actions = ("arn:aws:autoscaling:r:0:scalingPolicy:1",) if "first-worker" in name else ("arn:aws:sns:r:0:topic",)
    return Alarm(name, "Do this.", state, Metric(namespace, "x"), ">", 0, 60, 1, actions)


def judged(verdict: Finding[Any]) -> Health:
    """Return a verdict's state, after checking that a problem comes with advice."""
    assert bool(verdict.todo) == (verdict.state in (Health.WARNING, Health.FAILED)), verdict
    return verdict.state


@pytest.mark.parametrize(
    ("days", "host", "state"),
    [(100, HOST, Health.OK), (340, HOST, Health.WARNING), (366, HOST, Health.FAILED), (1, "other.com", Health.FAILED)],
)
def test_certificate_is_judged_by_host_and_expiry(days: int, host: str, state: Health) -> None:
    made = x509.load_pem_x509_certificate(self_signed.make(HOST, NOW).certificate)
    assert judged(edge.judge_certificate(made, host, NOW + timedelta(days=days), APP)) is state


@pytest.mark.parametrize(
    ("has", "state"),
    [
        ({}, Health.OK),
        ({"url": ""}, Health.FAILED),
        ({"url": "https://elsewhere.example.com"}, Health.FAILED),
        ({"has_custom_certificate": True}, Health.FAILED),
        ({"last_error_date": NOW - timedelta(minutes=1)}, Health.WARNING),
        ({"last_error_date": NOW - timedelta(hours=1)}, Health.OK),
        ({"pending_update_count": 101}, Health.WARNING),
    ],
)
def test_webhook_is_judged_by_telegrams_report(has: dict[str, Any], state: Health) -> None:
    right = {"url": f"https://{HOST}", "has_custom_certificate": False, "pending_update_count": 0}
    info: Any = SimpleNamespace(**right | {"last_error_date": None, "last_error_message": "403 Forbidden"} | has)
    assert judged(bot.judge_webhook(info, f"https://{HOST}", False, NOW, "set_webhook")) is state


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (GuestMode(on=False, storage_chat=None), Health.OK),
        (GuestMode(on=True, storage_chat=None), Health.OK),
        (GuestMode(on=True, storage_chat=-100), Health.OK),
        (GuestMode(on=False, storage_chat=-100), Health.WARNING),
        (GuestMode(on=True, storage_chat=-100, refusal="Telegram refuses: Forbidden"), Health.FAILED),
    ],
)
def test_guest_mode_is_judged_by_telegrams_answers(mode: GuestMode, state: Health) -> None:
    assert judged(bot.judge_guests(mode, APP)) is state


@pytest.mark.parametrize(
    ("stranger", "worker", "state", "word"),
    [
        (403, 404, Health.OK, ""),
        (502, 502, Health.FAILED, "targets"),
        (404, 404, Health.FAILED, "listener"),
        (403, 403, Health.FAILED, "RESULTS_KEY"),
        (400, 400, Health.FAILED, "DJANGO_ALLOWED_HOSTS"),
        (200, 404, Health.FAILED, "without a signature"),
        (403, 500, Health.FAILED, "logs"),
    ],
)
def test_wrong_answers_of_route_have_separate_causes(stranger: int, worker: int, state: Health, word: str) -> None:
    found = edge.judge_route(stranger, worker, "http://x/results")
    assert judged(found) is state
    assert word in found.seen + found.todo


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (edge.judge_clock(2), Health.OK),
        (edge.judge_clock(-60), Health.WARNING),
        (edge.judge_clock(400), Health.FAILED),
        (signals.judge_metric(30, 1.0, APP), Health.OK),
        (signals.judge_metric(91, 1.0, APP), Health.FAILED),
        (signals.judge_metric(None, 0.0, APP), Health.FAILED),
        (region.judge_zones({"a": "available", "b": "available"}, "r"), Health.OK),
        (region.judge_zones({"a": "available", "b": "impaired"}, "r"), Health.FAILED),
        (region.judge_quota(32, {"web": 4, "metrics": 2, "workers": 8}, 2), Health.OK),
        (region.judge_quota(8, {"web": 4, "metrics": 2, "workers": 8}, 2), Health.WARNING),
        (region.judge_quota(7, {"web": 4, "metrics": 2, "workers": 8}, 2), Health.FAILED),
        (signals.judge_dead_letters(0, 0, APP), Health.OK),
        (signals.judge_dead_letters(0, 1, APP), Health.FAILED),
        (machines.judge_capacity(group(2)), Health.OK),
        (machines.judge_capacity(group(2, "Launch")), Health.FAILED),
        (machines.judge_targets({"a": "healthy", "b": "healthy"}, APP), Health.OK),
        (machines.judge_targets({"a": "healthy", "b": "unhealthy"}, APP), Health.WARNING),
        (machines.judge_targets({}, APP), Health.FAILED),
        (machines.judge_image("yolo5", "ami-1", "ami-1", ()), Health.OK),
        (machines.judge_image("yolo5", "ami-1", "ami-2", ()), Health.WARNING),
        (machines.judge_image("yolo5", "ami-1", "ami-1", ("i-1",)), Health.WARNING),
        (machines.judge_age("yolo5", Image("i", "n", "v", "2026-05-02T00:00:00.000Z", ()), NOW), Health.OK),
        (machines.judge_age("yolo5", Image("i", "n", "v", "2026-05-01T00:00:00.000Z", ()), NOW), Health.WARNING),
        (machines.judge_age("yolo5", Image("i", "n", "v", "", ()), NOW), Health.OK),
    ],
)
def test_each_number_is_judged_with_advice(verdict: Finding[Any], state: Health) -> None:
    assert judged(verdict) is state


@pytest.fixture
def on_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "")


def test_missing_machines_and_images_are_judged_on_aws_alone(on_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(machines.judge_capacity(group(1))) is Health.WARNING
    assert judged(machines.no_image("yolo5")) is Health.FAILED
    refused = machines.judge_capacity(group(1), "Client.InternalError: Client error on launch.")
    assert (judged(refused), "EC2 says: Client.InternalError" in refused.seen) == (Health.FAILED, True)
    assert "get-ebs-default-kms-key-id" in str(refused.todo)
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert {machines.judge_capacity(group(1)).state, machines.no_image("yolo5").state} == {Health.UNKNOWN}


@pytest.mark.parametrize(
    ("name", "state", "namespace", "found"),
    [
        ("p-jobs-dead", "OK", "AWS/SQS", Health.OK),
        ("p-jobs-dead", "ALARM", "AWS/SQS", Health.FAILED),
        ("p-jobs-dead", "INSUFFICIENT_DATA", "AWS/SQS", Health.WARNING),
        ("p-first-worker", "ALARM", "ObjectDetection", Health.OK),
        ("p-first-worker", "INSUFFICIENT_DATA", "ObjectDetection", Health.FAILED),
    ],
)
def test_alarm_is_judged_by_its_purpose(on_aws: None, name: str, state: str, namespace: str, found: Health) -> None:
    low = alarm("TargetTracking-p-yolo5-AlarmLow-1", "ALARM", "ObjectDetection")
    seen = judge_alarms([low, alarm(name, state, namespace)], [name])
    assert judged(worst([seen, *seen.more])) is found


def test_missing_alarm_fails() -> None:
    names = signals.expected_alarms(APP)
    assert judged(judge_alarms([], names).more[0]) is Health.FAILED
    assert {"app-jobs-wait", "app-first-worker", "app-metric-gap"} <= set(names)
