"""`status` shows the running service on one screen, and says of what it can't read that it is not known."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.management import CommandError

from botsite import aws, roles
from deploy import background
from deploy.doctor.failures import not_known
from deploy.local.processes import wait_until
from deploy.local.stack import PREFIX, LocalStack
from deploy.local.telegram.client import TelegramUser
from deploy.management.commands import status as status_command
from deploy.operate import machines, status
from deploy.service import Service
from metrics.cloudwatch import Alarm, Group, Instance, LaunchTemplate, Metric
from metrics.health.alarms import judge_alarms
from metrics.health.findings import Finding, Health, failed, known, not_here, ok, unknown, warning
from tests.support import emulators
from tests.support.provisioning import look, run

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
YOLO5 = roles.named("yolo5")
TEMPLATE = LaunchTemplate("lt-1", "1")
NOTHING: dict[str, Finding[Any]] = {"machines": known({}), "images": known({}), "holds": known({})}


def group(instances: int = 0, desired: int = 0, suspended: tuple[str, ...] = ()) -> Group:
    """Return a group of workers with so many machines."""
    made = tuple(Instance(f"i-{number}", "us-east-1a", "InService", True, TEMPLATE) for number in range(instances))
    return Group("objdet-yolo5", desired, 0, 4, made, TEMPLATE, "EC2", suspended)


def texts(seen: Finding[Any], state: Health) -> list[str]:
    """Return what was seen in this state."""
    return [one.seen.strip() for one in (seen, *seen.more) if one.state is state]


def test_running_service_fits_one_screen(stack: LocalStack) -> None:
    lines = look("status").splitlines()
    assert len(lines) <= 24
    assert lines[0].startswith(f"{PREFIX}, {stack.endpoint}, 20")
    assert "8 of 8 complete" in lines[1]
    assert [name for name in status.PARTS if not any(line[2:].startswith(f"{name} ") for line in lines)] == []


def all_known() -> dict[str, Any]:
    """Return what the command prints, once each part is known that can be; nothing before."""
    found: dict[str, Any] = json.loads(look("status", "--json"))
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
    shown = look("status", "--json")
    assert [name for name in ("TELEGRAM_TOKEN", "RESULTS_KEY", "ADMIN_PASSWORD") if stack.env[name] in shown] == []


def test_emulator_is_not_known_rather_than_fine(stack: LocalStack) -> None:
    def not_known_here() -> list[str]:
        unknown = texts(status.read_status(Service(PREFIX))["alarms"], Health.UNKNOWN)
        return [text for text in unknown if "not known here" in text]

    # Until the first metric has reached the service's own alarms, they have no data, which is worse than not known; and
    # on a busy machine the alarms may take longer to read than the command waits.
    assert len(wait_until(not_known_here)) == 1


def test_status_ends_with_what_is_wrong_or_not_known() -> None:
    emulated = not_here("alarms")
    parts = {"fine": ok("7"), "emulated": ok("", {}).with_more(emulated), "slow": ok("").with_more(warning("old"))}
    assert status_command._trouble(parts) == ""
    parts |= {"jobs": ok("1").with_more(failed("1 dead letter")), "cost": unknown("not known: no answer within 3.5 s")}
    assert status_command._trouble(parts) == "Bad: jobs. Not known: cost."


def test_missing_service_is_one_line_naming_others(stack: LocalStack) -> None:
    for command in ("status", "doctor"):
        with pytest.raises(CommandError, match=f"^There is no service nosuch in .* Services there: .*{PREFIX}"):
            run(command, "--prefix", "nosuch")


def test_doctor_looks_at_account_before_service_exists(stack: LocalStack) -> None:
    assert run("doctor", "--prefix", "nosuch", "--only", "clock").startswith("clock")


@pytest.mark.slow
def test_unreadable_part_hides_no_other(stack: LocalStack) -> None:
    httpx.post(f"{stack.telegram_url}/bot{stack.env['TELEGRAM_TOKEN']}/deleteWebhook").raise_for_status()
    manager, secret = aws.client("secretsmanager"), stack.env["TELEGRAM_TOKEN_SECRET"]
    manager.put_secret_value(SecretId=secret, SecretString="1234567:AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    try:
        refused = status.read_status(Service(PREFIX))
    finally:
        manager.put_secret_value(SecretId=secret, SecretString=stack.env["TELEGRAM_TOKEN"])
        forgotten = status.read_status(Service(PREFIX))
        stack.set_webhook()
    [reason] = texts(refused["webhook"], Health.UNKNOWN)
    assert reason.startswith("not known: Telegram doesn't know this bot token")
    assert texts(refused["stacks"], Health.OK) == ["8 of 8 complete"]
    assert "sends updates nowhere" in texts(forgotten["webhook"], Health.FAILED)[0]


def test_hanging_read_hides_no_other() -> None:
    ended = threading.Event()
    try:
        found = background.gather({"hangs": lambda: known(ended.wait()), "quick": lambda: known(7)}, 0.2, not_known)
    finally:
        ended.set()
    assert (found["hangs"].seen, found["quick"].data) == ("not known: no answer within 0.2 s", 7)


def test_bug_in_a_read_is_its_reason() -> None:
    found = background.gather({"broken": lambda: known(1 / 0)}, 60, not_known)
    assert found["broken"].seen == "not known: ZeroDivisionError: division by zero"


def test_machines_have_age_image_and_health() -> None:
    described = {"i-0": {"LaunchTime": NOW - timedelta(hours=2), "Version": "v1"}}
    facts: dict[str, Finding[Any]] = {"machines": known(described), "images": known({"yolo5": ("v2", "")})}
    found = machines.list_machines({YOLO5: group(1, 1)}, NOTHING | facts, NOW)
    assert texts(found, Health.WARNING) == ["i-0  InService  healthy  2 h 0 min  image v1, the newest is v2"]
    assert texts(found, Health.OK) == ["yolo5           1 running of 1 wanted, at most 4"]


def test_rollback_is_named_with_its_author() -> None:
    told = "yolo5 runs v2, rolled back from v3 by user/anna"
    facts: dict[str, Finding[Any]] = {"machines": known({}), "images": known({"yolo5": ("v2", told)})}
    found = machines.list_machines({YOLO5: group(1, 1)}, NOTHING | facts, NOW)
    assert texts(found, Health.WARNING) == [told]
    assert '"rolled_back": "yolo5 runs v2' in json.dumps(found.data)


def test_many_machines_are_cut_short_for_people_only() -> None:
    found = machines.list_machines({YOLO5: group(9, 9)}, NOTHING, NOW)
    assert found.more[-1].seen == "  and 4 more"
    assert json.dumps(found.data).count('"InService"') == 9


def test_suspended_and_missing_groups_are_bad() -> None:
    found = machines.list_machines({YOLO5: group(0, 1, ("Launch",)), roles.named("polybot"): None}, NOTHING, NOW)
    assert texts(found, Health.FAILED) == [
        "suspended: Launch",
        "polybot         its group is gone: run `manage.py provision`",
    ]
    assert texts(found, Health.WARNING) == ["yolo5           0 running of 1 wanted, at most 4"]


@pytest.mark.slow
def test_ec2_and_images_are_read_by_id() -> None:
    with emulators.ministack():
        ec2 = aws.client("ec2")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro")["Instances"][0]
        found = machines._described([made["InstanceId"], "i-00000000000000000"])
    assert list(found) == [made["InstanceId"]]
    assert found[made["InstanceId"]]["Version"] == image
    assert datetime.now(UTC) - found[made["InstanceId"]]["LaunchTime"] < timedelta(minutes=5)


def test_alarms_are_sorted_by_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AWS_ENDPOINT_URL", "")
    scales = ("arn:aws:autoscaling:r:0:scalingPolicy:1",)
    states = {"jobs-dead": "ALARM", "first-worker": "ALARM", "jobs-wait": "INSUFFICIENT_DATA", "sites-fail": "OK"}
    found = [
        Alarm(f"objdet-{name}", "", state, Metric("AWS/SQS", "x"), ">", 0, 60, 1, scales if "first" in name else ())
        for name, state in {**states, "TargetTracking-objdet-yolo5-High": "OK"}.items()
    ]
    found[-1] = replace(found[-1], name="TargetTracking-objdet-yolo5-High")
    seen = judge_alarms(found, [*(one.name for one in found), "objdet-gone"])
    assert texts(seen, Health.FAILED) == ["1 of 5 on: objdet-jobs-dead", "missing: objdet-gone"]
    assert texts(seen, Health.WARNING) == ["1 without data: objdet-jobs-wait"]
    assert seen.data
    assert (seen.data["scaling"], seen.data["without_data"]) == (["objdet-first-worker"], ["objdet-jobs-wait"])


@pytest.mark.parametrize("text", ["metricStreamer", "metrics", "METRICSTREAMER"])
def test_role_has_one_name(text: str) -> None:
    assert roles.named(text).name == "metricStreamer"
