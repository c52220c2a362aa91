"""`exec` opens a session on a machine by Session Manager, and the log says who did."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from botsite import aws, roles
from deploy import provision
from deploy.cfn.cloudformation import StackError
from deploy.operate import shell
from deploy.service import Service
from tests.support import emulators, operating, recorded

SERVICE = Service("shell")
POLYBOT = roles.named("polybot")
# As in "Response Syntax" of StartSession in the AWS Systems Manager API reference; the emulator has no sessions.
SESSION = {
    "SessionId": "ada-0a1b2c3d",
    "TokenValue": "a-token-that-nobody-may-see",
    "StreamUrl": "wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/ada-0a1b2c3d?role=publish_subscribe",
}
# What the plugin is given, as `aws ssm start-session` gives it (awscli/customizations/sessionmanager.py).
PLUGIN = """#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit; fi
printf '%s\\n' "$@" "$AWS_SSM_START_SESSION_RESPONSE" > {told}
exit 3
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An emulated AWS with a service, whose group has two sites."""
    with emulators.ministack() as url:
        provision.deploy(SERVICE)
        aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName="shell-polybot", DesiredCapacity=2)
        yield url


@pytest.fixture
def machines(endpoint: str) -> list[str]:
    """The ids of the sites."""
    found = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["shell-polybot"])
    return [one["InstanceId"] for one in found["AutoScalingGroups"][0]["Instances"]]


def plugin(folder: Path, version: str = "1.2.764.0") -> Path:
    """Put a plugin into a folder; return the file with what it is told."""
    path, told = folder / "session-manager-plugin", folder / "told"
    path.write_text(PLUGIN.format(version=version, told=told))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return told


def on_aws(url: str, folder: Path) -> dict[str, str]:
    """Return an environment in which this is AWS, and programs are looked for in a folder first."""
    names = ("CLOUDFORMATION", "AUTO_SCALING", "CLOUDWATCH_LOGS", "SSM", "STS")
    env = operating.environment("", **{f"AWS_ENDPOINT_URL_{name}": url for name in names})
    return env | {"PATH": f"{folder}{os.pathsep}{env['PATH']}"}


def test_session_is_recorded_and_handed_to_plugin(endpoint: str, machines: list[str], tmp_path: Path) -> None:
    told = plugin(tmp_path)
    answers = {"AmazonSSM.StartSession": ("application/x-amz-json-1.1", json.dumps(SESSION))}
    with recorded.before(endpoint, answers) as (url, asked):
        command = ["exec", "polybot", "--prefix", "shell", "--machine", machines[1], "--", "ls", "a b"]
        done = operating.manage(*command, env=on_aws(url, tmp_path))
    assert (done.returncode, done.stderr) == (3, "")
    wanted = {
        "Target": machines[1],
        "DocumentName": "AWS-StartInteractiveCommand",
        "Parameters": {"command": ["sudo docker exec --interactive --tty objdet ls 'a b'"]},
    }
    assert json.loads(asked[0].partition(" ")[2]) == wanted
    name, region, action, _, request, address, response = told.read_text().splitlines()
    assert (name, region, action, address) == ("AWS_SSM_START_SESSION_RESPONSE", "us-east-1", "StartSession", url)
    assert (json.loads(request), json.loads(response)) == (wanted, SESSION)
    [line] = aws.client("logs").get_log_events(logGroupName="/shell/polybot", logStreamName=machines[1])["events"]
    event = json.loads(line["message"])
    assert (event["event"], event["operation"], event["command"]) == ("operator_acts", "exec", "ls 'a b'")
    assert event["operator"].startswith("arn:aws:")
    assert event["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "ObjectDetection/Events"


@pytest.mark.slow
def test_missing_plugin_is_explained_before_anything_is_asked(endpoint: str, tmp_path: Path) -> None:
    for version in ("", "1.2.497.0"):
        if version:
            plugin(tmp_path, version)
        done = operating.manage("exec", "polybot", "--prefix", "shell", env=on_aws(endpoint, tmp_path))
        assert (done.returncode, done.stdout) == (1, "")
        assert "session-manager-working-with-install-plugin.html says how" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_shell_is_in_the_container_or_on_its_machine() -> None:
    assert shell.request("i-1", (), on_host=True) == {"Target": "i-1"}
    inside = shell.request("i-1", (), on_host=False)["Parameters"]
    assert inside == {"command": ["sudo docker exec --interactive --tty objdet bash"]}
    assert shell.request("i-1", ("df", "-h"), on_host=True)["Parameters"] == {"command": ["df -h"]}


def test_container_has_the_name_of_the_runner() -> None:
    assert "name=objdet " in (operating.ROOT / "deploy" / "docker" / "run.sh").read_text()


def test_machine_is_chosen_by_the_end_of_its_id(endpoint: str, machines: list[str]) -> None:
    assert shell.choose_machine(SERVICE, POLYBOT, machines[1][-6:]) == machines[1]
    with pytest.raises(StackError, match=r"shell-yolo5 has no such machine: none is in service\."):
        shell.choose_machine(SERVICE, roles.named("yolo5"), "")
