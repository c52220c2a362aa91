"""`status` shows the running service on one screen, and says of what it can't read that it is not known."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError
from telegram import WebhookInfo

from botsite import aws, roles
from botsite.staff.sources import Reading
from deploy.doctor.alarms import Alarm
from deploy.local.processes import wait_until
from deploy.local.stack import PREFIX, LocalStack
from deploy.local.telegram.client import TelegramUser
from deploy.operate import health, machines, readings, status
from deploy.operate.seen import Line, Mark, Seen
from deploy.service import Service
from metrics.cloudwatch import Group, Instance, LaunchTemplate
from tests.support import emulators
from tests.support.provisioning import run

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
YOLO5 = roles.named("yolo5")
TEMPLATE = LaunchTemplate("lt-1", "1")
NOTHING: dict[str, Reading[Any]] = {"machines": Reading({}), "images": Reading({}), "holds": Reading({})}


def group(instances: int = 0, desired: int = 0, suspended: tuple[str, ...] = ()) -> Group:
    """Return a group of workers with so many machines."""
    made = tuple(Instance(f"i-{number}", "us-east-1a", "InService", True, TEMPLATE) for number in range(instances))
    return Group("objdet-yolo5", desired, 0, 4, made, TEMPLATE, "EC2", suspended)


def texts(seen: Seen, mark: Mark) -> list[str]:
    """Return the lines with this mark."""
    return [line.text.strip() for line in seen.lines if line.mark is mark]


def test_running_service_fits_one_screen(stack: LocalStack) -> None:
    lines = run("status").splitlines()
    assert len(lines) <= 24
    assert lines[0].startswith(f"{PREFIX}, {stack.endpoint}, 20")
    assert "8 of 8 complete" in lines[1]
    assert [name for name in status.PARTS if not any(line[2:].startswith(f"{name} ") for line in lines)] == []


def all_known() -> dict[str, Any]:
    """Return what the command prints, once each part is known that can be; nothing before."""
    found: dict[str, Any] = json.loads(run("status", "--json"))
    unknown = {name for name, part in found.items() if "not_known" in part}
    return found if unknown <= {"machines", "cost"} else {}


def test_json_has_every_part(stack: LocalStack, user: TelegramUser, photo: bytes, weights: str) -> None:
    user.wait_for_reply(user.send_photo(photo))
    # On a busy machine a part may take longer than the command waits for it.
    found = wait_until(all_known)
    assert [name for name in status.PARTS if name.replace(" ", "_") not in found] == []
    assert found["photos"]["photos"] >= 1
    assert found["photos"]["model"] == Path(weights).name
    assert found["certificate"]["days"] > 300


def test_no_secret_is_shown(stack: LocalStack) -> None:
    shown = run("status", "--json")
    assert [name for name in ("TELEGRAM_TOKEN", "RESULTS_KEY", "ADMIN_PASSWORD") if stack.env[name] in shown] == []


def test_emulator_is_not_known_rather_than_fine(stack: LocalStack) -> None:
    unknown = texts(status.read(Service(PREFIX))["alarms"], Mark.UNKNOWN)
    assert len(unknown) == 1
    assert "not known here" in unknown[0]


def test_missing_service_is_one_line_naming_others(stack: LocalStack) -> None:
    for command in ("status", "doctor"):
        with pytest.raises(CommandError, match=f"^There is no service nosuch in .* Services there: .*{PREFIX}"):
            run(command, "--prefix", "nosuch")


def test_doctor_looks_at_account_before_service_exists(stack: LocalStack) -> None:
    assert run("doctor", "--prefix", "nosuch", "--only", "clock").startswith("clock")


def test_unreadable_part_hides_no_other(stack: LocalStack) -> None:
    httpx.post(f"{stack.telegram_url}/bot{stack.env['TELEGRAM_TOKEN']}/deleteWebhook").raise_for_status()
    manager, secret = aws.client("secretsmanager"), stack.env["TELEGRAM_TOKEN_SECRET"]
    manager.put_secret_value(SecretId=secret, SecretString="1234567:AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    try:
        refused = status.read(Service(PREFIX))
    finally:
        manager.put_secret_value(SecretId=secret, SecretString=stack.env["TELEGRAM_TOKEN"])
        forgotten = status.read(Service(PREFIX))
        stack.set_webhook()
    [reason] = texts(refused["webhook"], Mark.UNKNOWN)
    assert reason.startswith("not known: Telegram doesn't know this bot token")
    assert texts(refused["stacks"], Mark.OK) == ["8 of 8 complete"]
    assert "sends updates nowhere" in texts(forgotten["webhook"], Mark.BAD)[0]


def test_hanging_read_hides_no_other() -> None:
    ended = threading.Event()
    try:
        found = readings.read({"hangs": ended.wait, "quick": lambda: 7}, seconds=0.2)
    finally:
        ended.set()
    assert found == {"hangs": Reading(None, "not known: no answer within 0.2 s"), "quick": Reading(7)}


def test_bug_in_a_read_is_its_reason() -> None:
    assert readings.read({"broken": lambda: 1 / 0})["broken"].reason == "not known: ZeroDivisionError: division by zero"


def test_machines_have_age_image_and_health() -> None:
    described = {"i-0": {"LaunchTime": NOW - timedelta(hours=2), "Version": "v1"}}
    facts: dict[str, Reading[Any]] = {"machines": Reading(described), "images": Reading({"yolo5": ("v2", "")})}
    found = machines.judge({YOLO5: group(1, 1)}, NOTHING | facts, NOW)
    assert texts(found, Mark.NOTE) == ["i-0  InService  healthy  2 h 0 min  image v1, the newest is v2"]
    assert texts(found, Mark.OK) == ["yolo5           1 running of 1 wanted, at most 4"]


def test_rollback_is_named_with_its_author() -> None:
    told = "yolo5 runs v2, rolled back from v3 by user/anna"
    facts: dict[str, Reading[Any]] = {"machines": Reading({}), "images": Reading({"yolo5": ("v2", told)})}
    found = machines.judge({YOLO5: group(1, 1)}, NOTHING | facts, NOW)
    assert texts(found, Mark.NOTE) == [told]
    assert '"rolled_back": "yolo5 runs v2' in json.dumps(found.data)


def test_many_machines_are_cut_short_for_people_only() -> None:
    found = machines.judge({YOLO5: group(9, 9)}, NOTHING, NOW)
    assert found.lines[-1] == Line("  and 4 more")
    assert json.dumps(found.data).count('"InService"') == 9


def test_suspended_and_missing_groups_are_bad() -> None:
    found = machines.judge({YOLO5: group(0, 1, ("Launch",)), roles.named("polybot"): None}, NOTHING, NOW)
    assert texts(found, Mark.BAD) == [
        "suspended: Launch",
        "polybot         its group is gone: run `manage.py provision`",
    ]
    assert texts(found, Mark.NOTE) == ["yolo5           0 running of 1 wanted, at most 4"]


def test_ec2_and_images_are_read_by_id() -> None:
    with emulators.ministack():
        ec2 = aws.client("ec2")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro")["Instances"][0]
        found = machines._described([made["InstanceId"], "i-00000000000000000"])
    assert list(found) == [made["InstanceId"]]
    assert found[made["InstanceId"]]["Version"] == image
    assert datetime.now(UTC) - found[made["InstanceId"]]["LaunchTime"] < timedelta(minutes=5)


def alarm(name: str, state: str) -> Alarm:
    return Alarm(f"objdet-{name}", state, "AWS/SQS")


def test_alarms_are_sorted_by_state() -> None:
    names = {"jobs-dead": "ALARM", "first-worker": "ALARM", "jobs-wait": "INSUFFICIENT_DATA", "sites-fail": "OK"}
    found = {f"objdet-{name}": alarm(name, state) for name, state in names.items()}
    seen = health.judge_alarms(found, [*found, "objdet-gone"], emulated=False)
    assert texts(seen, Mark.BAD) == ["1 of 4 on: objdet-jobs-dead", "missing: objdet-gone"]
    assert texts(seen, Mark.UNKNOWN) == ["1 without data: objdet-jobs-wait"]


def webhook(error: timedelta | None = None, pending: int = 0) -> WebhookInfo:
    """Return what Telegram says of a webhook."""
    date = NOW - error if error else None
    return WebhookInfo("https://x/", True, pending, last_error_date=date, last_error_message="503" if error else None)


def test_last_error_of_webhook_is_bad_while_it_is_new() -> None:
    assert texts(health.judge_webhook(webhook(timedelta(minutes=1)), NOW), Mark.BAD) == [
        "last error 1 min 0 s ago: 503"
    ]
    assert texts(health.judge_webhook(webhook(timedelta(days=2)), NOW), Mark.NOTE) == ["last error 2 d 0 h ago: 503"]
    assert texts(health.judge_webhook(webhook(pending=101), NOW), Mark.BAD) == ["101 updates pending, no error"]


@pytest.mark.parametrize("text", ["metricStreamer", "metrics", "METRICSTREAMER"])
def test_role_has_one_name(text: str) -> None:
    assert roles.named(text).name == "metricStreamer"
