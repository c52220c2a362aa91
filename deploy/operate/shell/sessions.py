"""Open a shell in the container of a role's machine through Session Manager, which needs no open port and no key."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings

from botsite import aws
from botsite.roles import Role
from deploy.cfn.cloudformation import StackError
from deploy.operate import who
from deploy.operate.shell import act, foreground
from deploy.service import Service
from metrics import cloudwatch

PLUGIN = "session-manager-plugin"
# From this one on, it takes the session's token from its environment; arguments are for everybody to see.
_TOO_OLD = (1, 2, 497, 0)
_RESPONSE = "AWS_SSM_START_SESSION_RESPONSE"
_GET_IT = (
    "docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html says how to "
    "install it, on Debian: curl -O https://s3.amazonaws.com/session-manager-downloads/plugin/latest/ubuntu_64bit/"
    "session-manager-plugin.deb && sudo dpkg -i session-manager-plugin.deb"
)
_CONTAINER = ("sudo", "docker", "exec", "--interactive", "--tty", "objdet")


def run(service: Service, role: Role, machine: str, command: Sequence[str], on_host: bool) -> int:
    """Run a command, a shell without one, in the role's container or on its machine; return the exit code.

    It is recorded first: without the record there is no session. Raise StackError.
    """
    plugin = _plugin()
    target = choose(service, role, machine)
    record(role.log_group(service), target, act.line(who.am_i(), target, command, role.log_group(service)))
    asked = request(target, command, on_host)
    session = aws.client("ssm").start_session(**asked)
    try:
        return _connect(plugin, session, asked)
    except OSError:
        aws.client("ssm").terminate_session(SessionId=session["SessionId"])
        raise


def choose(service: Service, role: Role, machine: str) -> str:
    """Return the id of a machine of the role that works, the one whose id ends so; raise StackError without one."""
    name = role.group(service)
    group = cloudwatch.groups(name).get(name)
    found = [one for one in group.instances if one.state == "InService"] if group else []
    chosen = [one.id for one in sorted(found, key=lambda one: not one.healthy) if one.id.endswith(machine)]
    if not chosen:
        others = ", ".join(one.id for one in found) or "none is in service"
        raise StackError(f"{name} has no such machine: {others}. Workers start when there is work.")
    return chosen[0]


def record(log_group: str, machine: str, line: str) -> None:
    """Write a line among those of the machine."""
    logs = aws.client("logs")
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName=log_group, logStreamName=machine)
    event = {"timestamp": round(time.time() * 1000), "message": line}
    logs.put_log_events(logGroupName=log_group, logStreamName=machine, logEvents=[event])


def request(target: str, command: Sequence[str], on_host: bool) -> dict[str, Any]:
    """Return the arguments of StartSession; Session Manager's own shell is on the machine."""
    if on_host and not command:
        return {"Target": target}
    words = command if on_host else (*_CONTAINER, *(command or ("bash",)))
    return {
        "Target": target,
        "DocumentName": "AWS-StartInteractiveCommand",
        "Parameters": {"command": [shlex.join(words)]},
    }


def _plugin() -> str:
    """Return the path of Session Manager's plugin; raise StackError, with how to get it, without a recent one."""
    path = shutil.which(PLUGIN)
    if path is None:
        raise StackError(f"This needs {PLUGIN}, which is not on this computer. {_GET_IT}")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    version = tuple(map(int, re.findall(r"\d+", said)))
    if version <= _TOO_OLD:
        raise StackError(f"{path} is of version {said.strip() or 'unknown'}, which is too old. {_GET_IT}")
    return path


def _connect(plugin: str, session: dict[str, Any], asked: dict[str, Any]) -> int:
    """Hand the session to the plugin, as the AWS CLI does."""
    response = {name: session[name] for name in ("SessionId", "TokenValue", "StreamUrl")}
    endpoint = aws.client("ssm").meta.endpoint_url
    profile = os.environ.get("AWS_PROFILE", "")
    command = [plugin, _RESPONSE, settings.AWS_REGION, "StartSession", profile, json.dumps(asked), endpoint]
    return foreground.run(command, {**os.environ, _RESPONSE: json.dumps(response)})
