"""How `doctor` judges what it finds: by numbers made up here, most of which an emulator never has."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509

from deploy.certificates import self_signed
from deploy.doctor import alarms, bot, certificate, clock, guests, machines, metric, queues, region, route
from deploy.doctor.findings import State, Verdict
from deploy.doctor.machines import Group
from deploy.images.ami import Image
from deploy.service import Service
from deploy.webhook.guests import GuestMode

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOST = "bot.example.com"
APP = Service("app")


def judged(verdict: Verdict) -> State:
    """Return a verdict's state, after checking that a problem comes with advice."""
    assert bool(verdict.todo) == (verdict.state in (State.WARNING, State.FAILED)), verdict
    return verdict.state


@pytest.mark.parametrize(
    ("days", "host", "state"),
    [(100, HOST, State.OK), (340, HOST, State.WARNING), (366, HOST, State.FAILED), (1, "other.com", State.FAILED)],
)
def test_certificate_is_judged_by_host_and_expiry(days: int, host: str, state: State) -> None:
    made = x509.load_pem_x509_certificate(self_signed.make(HOST, NOW).certificate)
    assert judged(certificate.judge(made, host, NOW + timedelta(days=days), APP)) is state


@pytest.mark.parametrize(
    ("has", "state"),
    [
        ({}, State.OK),
        ({"url": ""}, State.FAILED),
        ({"url": "https://elsewhere.example.com"}, State.FAILED),
        ({"has_custom_certificate": True}, State.FAILED),
        ({"last_error_date": NOW - timedelta(minutes=1)}, State.WARNING),
        ({"last_error_date": NOW - timedelta(hours=1)}, State.OK),
        ({"pending_update_count": 101}, State.WARNING),
    ],
)
def test_webhook_is_judged_by_telegrams_report(has: dict[str, Any], state: State) -> None:
    right = {"url": f"https://{HOST}", "has_custom_certificate": False, "pending_update_count": 0}
    info: Any = SimpleNamespace(**right | {"last_error_date": None, "last_error_message": "403 Forbidden"} | has)
    assert judged(bot.judge(info, f"https://{HOST}", False, NOW, "set_webhook")) is state


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (GuestMode(on=False, storage_chat=None), State.OK),
        (GuestMode(on=True, storage_chat=None), State.OK),
        (GuestMode(on=True, storage_chat=-100), State.OK),
        (GuestMode(on=False, storage_chat=-100), State.WARNING),
        (GuestMode(on=True, storage_chat=-100, refusal="Telegram refuses: Forbidden"), State.FAILED),
    ],
)
def test_guest_mode_is_judged_by_telegrams_answers(mode: GuestMode, state: State) -> None:
    assert judged(guests.judge(mode, APP)) is state


@pytest.mark.parametrize(
    ("stranger", "worker", "state", "word"),
    [
        (403, 404, State.OK, ""),
        (502, 502, State.FAILED, "targets"),
        (404, 404, State.FAILED, "listener"),
        (403, 403, State.FAILED, "RESULTS_KEY"),
        (400, 400, State.FAILED, "DJANGO_ALLOWED_HOSTS"),
        (200, 404, State.FAILED, "without a signature"),
        (403, 500, State.FAILED, "logs"),
    ],
)
def test_wrong_answers_of_route_have_separate_causes(stranger: int, worker: int, state: State, word: str) -> None:
    found = route.judge(stranger, worker, "http://x/results")
    assert judged(found) is state
    assert word in found.seen + found.todo


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (clock.judge(2), State.OK),
        (clock.judge(-60), State.WARNING),
        (clock.judge(400), State.FAILED),
        (metric.judge(30, 1.0, APP), State.OK),
        (metric.judge(91, 1.0, APP), State.FAILED),
        (metric.judge(None, 0.0, APP), State.FAILED),
        (region.judge_zones({"a": "available", "b": "available"}, "r"), State.OK),
        (region.judge_zones({"a": "available", "b": "impaired"}, "r"), State.FAILED),
        (region.judge_quota(32, {"web": 4, "metrics": 2, "workers": 8}), State.OK),
        (region.judge_quota(8, {"web": 4, "metrics": 2, "workers": 8}), State.WARNING),
        (region.judge_quota(5, {"web": 4, "metrics": 2, "workers": 8}), State.FAILED),
        (queues.judge_dead_letters(0, 0, APP), State.OK),
        (queues.judge_dead_letters(0, 1, APP), State.FAILED),
        (machines.judge_capacity(Group("g", 2, 2, 2), False), State.OK),
        (machines.judge_capacity(Group("g", 2, 2, 1), False), State.WARNING),
        (machines.judge_capacity(Group("g", 2, 2, 2, suspended=("Launch",)), False), State.FAILED),
        (machines.judge_targets({"a": "healthy", "b": "healthy"}, APP), State.OK),
        (machines.judge_targets({"a": "healthy", "b": "unhealthy"}, APP), State.WARNING),
        (machines.judge_targets({}, APP), State.FAILED),
        (machines.judge_image("yolo5", "ami-1", "ami-1", Group("g", 0, 1, 0)), State.OK),
        (machines.judge_image("yolo5", "ami-1", "ami-2", Group("g", 0, 1, 0)), State.WARNING),
        (machines.judge_image("yolo5", "ami-1", "ami-1", Group("g", 1, 1, 1, outdated=("i-1",))), State.WARNING),
        (machines.judge_image("yolo5", "ami-1", "", Group("g", 0, 1, 0)), State.FAILED),
        (machines.judge_age("yolo5", Image("i", "n", "v", "2026-05-02T00:00:00.000Z", ()), NOW), State.OK),
        (machines.judge_age("yolo5", Image("i", "n", "v", "2026-05-01T00:00:00.000Z", ()), NOW), State.WARNING),
        (machines.judge_age("yolo5", Image("i", "n", "v", "", ()), NOW), State.OK),
    ],
)
def test_each_number_is_judged_with_advice(verdict: Verdict, state: State) -> None:
    assert judged(verdict) is state


@pytest.mark.parametrize(
    ("name", "state", "namespace", "found"),
    [
        ("p-jobs-dead", "OK", "AWS/SQS", State.OK),
        ("p-jobs-dead", "ALARM", "AWS/SQS", State.FAILED),
        ("p-jobs-dead", "INSUFFICIENT_DATA", "AWS/SQS", State.WARNING),
        ("p-first-worker", "ALARM", "ObjectDetection", State.OK),
        ("p-first-worker", "INSUFFICIENT_DATA", "ObjectDetection", State.FAILED),
    ],
)
def test_alarm_is_judged_by_its_purpose(name: str, state: str, namespace: str, found: State) -> None:
    low = alarms.Alarm("TargetTracking-p-yolo5-AlarmLow-1", "ALARM", "ObjectDetection")
    listed = {one.name: one for one in (low, alarms.Alarm(name, state, namespace, "Do this."))}
    assert judged(alarms.judge(listed, [name], emulated=False)) is found


def test_missing_alarm_fails() -> None:
    names = alarms.expected(APP)
    assert judged(alarms.judge({}, names, emulated=False)) is State.FAILED
    assert {"app-jobs-wait", "app-first-worker", "app-metric-gap"} <= set(names)
