"""`events` tells what happened: machines, stacks, images and operators, and who it was."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy import provision
from deploy.cfn import cloudformation
from deploy.service import Service
from detection.record import times
from metrics.health.events import LOCAL
from tests.support import emulators, operating, recorded

PREFIX = "told"
NOW = datetime.now(UTC)
# In AWS's words (EC2 Auto Scaling guide, "Verify a scaling activity"; "Troubleshoot").
_ACTIVITY = """<member><ActivityId>{id}</ActivityId><AutoScalingGroupName>told-yolo5</AutoScalingGroupName>
<Description>{description}</Description><Cause>{cause}</Cause>{message}<StartTime>{start}</StartTime>
<StatusCode>{status}</StatusCode><Progress>100</Progress></member>"""
DIED = (
    "Terminating EC2 instance: i-0a",
    "At 2026-12-04T10:00:00Z an instance was taken out of service in response to an EC2 health check indicating it has "
    "been terminated or stopped.",
)
LAUNCHED = (
    "Launching a new EC2 instance: i-0b",
    "At 2026-12-04T10:00:00Z a monitor alarm told-first-worker in state ALARM triggered policy first changing the "
    "desired capacity from 0 to 1.  At 2026-12-04T10:00:05Z an instance was started in response to a difference "
    "between desired and actual capacity, increasing the capacity from 0 to 1.",
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Return an AWS with a deployed service."""
    with emulators.own_ministack() as url:
        provision.deploy(Service(PREFIX))
        yield url


def activity(number: int, what: tuple[str, str], minutes_ago: int, message: str = "") -> str:
    start = f"{NOW - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%SZ}"
    said = f"<StatusMessage>{message}</StatusMessage>" if message else ""
    status = "Failed" if message else "Successful"
    return _ACTIVITY.format(id=number, description=what[0], cause=what[1], message=said, start=start, status=status)


def env(endpoint: str) -> dict[str, str]:
    """Return an operator's environment, whose questions about groups go to another address."""
    return operating.environment("", **{f"AWS_ENDPOINT_URL_{name}": endpoint for name in SERVICES})


SERVICES = ("AUTO_SCALING", "CLOUDFORMATION", "EC2", "CLOUDWATCH_LOGS", "STS")


def read(*arguments: str, env: dict[str, str]) -> dict[str, Any]:
    done = operating.manage("events", "--prefix", PREFIX, "--json", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def texts(found: dict[str, Any], kind: str) -> list[str]:
    return [one["text"] for one in found["events"] if one["kind"] == kind]


def test_launches_and_deaths_are_told_with_their_causes(endpoint: str) -> None:
    full = activity(
        3, ("Launching a new EC2 instance", ""), 5, "We currently do not have sufficient t3.micro capacity."
    )
    members = full + activity(2, LAUNCHED, 10) + activity(1, DIED, 20) + activity(0, DIED, 100)
    text = (
        '<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">'
        f"<DescribeScalingActivitiesResult><Activities>{members}</Activities></DescribeScalingActivitiesResult>"
        "</DescribeScalingActivitiesResponse>"
    )
    nothing = text.replace(members, "")
    answers = {f"AutoScalingGroupName={PREFIX}-yolo5": ("text/xml", text), "ScalingActivities": ("text/xml", nothing)}
    with recorded.before(endpoint, answers) as (url, _):
        found = read("--since", "1h", env=env(url))
    assert texts(found, "machines") == [
        "yolo5: Launching a new EC2 instance; We currently do not have sufficient t3.micro capacity.",
        "yolo5: Launching a new EC2 instance: i-0b; a monitor alarm told-first-worker in state ALARM triggered policy "
        "first changing the desired capacity from 0 to 1",
        "yolo5: Terminating EC2 instance: i-0a; an instance was taken out of service in response to an EC2 health "
        "check indicating it has been terminated or stopped",
    ]
    assert [one["failed"] for one in found["events"] if one["kind"] == "machines"] == [True, False, False]


def test_deployments_are_told_with_who_made_them(endpoint: str) -> None:
    found = read(env=env(endpoint))
    assert f"{PREFIX}-web CREATE_COMPLETE by root" in texts(found, "stacks")
    assert len(texts(found, "stacks")) == len(set(texts(found, "stacks"))) == 8
    assert [one["time"] for one in found["events"]] == sorted((one["time"] for one in found["events"]), reverse=True)
    assert (texts(read("--since", "0s", env=env(endpoint)), "stacks"), found["not_known"]) == ([], {})


def test_token_names_its_author(endpoint: str) -> None:
    token = cloudformation.token()
    assert (cloudformation.author(token), len(token) <= 128) == ("root", True)
    assert token != cloudformation.token()
    assert cloudformation.author("Console-UpdateStack-5f6a2c1e-7b51-4f7e-8c3d-1f2e3d4c5b6a") == ""


def test_operators_and_local_machines_are_told(endpoint: str, tmp_path: Path) -> None:
    def line(seconds_ago: int, event: str, **fields: str) -> str:
        at = times.text(NOW - timedelta(seconds=seconds_ago))
        return json.dumps({"time": at, "level": "warning", "event": event, **fields}) + "\n"

    acts = [line(30, "operator_acts", operator="ann", operation="retry", prediction_id=one) for one in ("p1", "p2")]
    (tmp_path / "polybot-1.log").write_text(line(90, "service_paused", by="jo") + "".join(acts) + line(5, "photo_sent"))
    (tmp_path / "yolo5-1.log").write_text(line(89, "service_paused", by="jo"))
    (tmp_path / LOCAL).write_text(
        f"{times.text(NOW - timedelta(days=2))} yolo5-1 is gone\n"
        f"{times.text(NOW - timedelta(seconds=60))} yolo5-1 ended with code -9; replacing it in 1 s\n"
        "10:00:00 as an earlier release wrote it\n"
    )
    found = read(env=env(endpoint) | {"LOG_FOLDER": str(tmp_path)})
    assert texts(found, "machines") == ["yolo5-1 ended with code -9; replacing it in 1 s"]
    assert sorted(texts(found, "operators")) == [
        "operator_acts operator=ann operation=retry prediction_id=p1",
        "operator_acts operator=ann operation=retry prediction_id=p2",
        "service_paused by=jo",
    ]


def test_what_cannot_be_read_hides_nothing_else(endpoint: str) -> None:
    elsewhere = env(endpoint) | {"AWS_ENDPOINT_URL_AUTO_SCALING": "http://127.0.0.1:9"}
    found = read(env=elsewhere)
    assert list(found["not_known"]) == ["machines"]
    assert len(texts(found, "stacks")) == 8
    shown = operating.manage("events", "--prefix", PREFIX, env=elsewhere)
    assert shown.stdout.splitlines()[-1].startswith("? machines: not known: ")


def test_quiet_time_and_missing_service_are_said(endpoint: str) -> None:
    quiet = operating.manage("events", "--prefix", PREFIX, "--since", "0s", env=env(endpoint))
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert "Nothing happened since" in quiet.stderr
    missing = operating.manage("events", "--prefix", "nobody", env=env(endpoint))
    assert missing.returncode == 1
