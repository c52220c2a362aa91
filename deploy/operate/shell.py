"""Open a shell where a role runs: through Session Manager, which needs no open port and no key, or beside its process.

The latter is where the local AWS runs machines as processes. Who did is recorded before.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from botsite import aws
from botsite.roles import Role
from deploy import interrupts
from deploy.cfn.cloudformation import StackError
from deploy.operate import operators
from deploy.service import Service
from metrics import cloudwatch
from metrics.health.findings import NotKnownHere

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


def run_on_machine(service: Service, role: Role, machine: str, command: Sequence[str], on_host: bool) -> int:
    """Run a command, a shell without one, in the role's container or on its machine; return the exit code.

    It is recorded first: without the record there is no session. Raise StackError.
    """
    plugin = _plugin()
    target = choose_machine(service, role, machine)
    said = {"machine": target, "command": shlex.join(command) or "shell"}
    operators.record_in_group(role.log_group(service), target, "exec", said)
    asked = request(target, command, on_host)
    session = aws.client("ssm").start_session(**asked)
    try:
        return _connect(plugin, session, asked)
    except OSError:
        aws.client("ssm").terminate_session(SessionId=session["SessionId"])
        raise


def choose_machine(service: Service, role: Role, machine: str) -> str:
    """Return the id of a machine of the role that works, the one whose id ends so; raise StackError without one."""
    name = role.group(service)
    group = cloudwatch.groups(name).get(name)
    found = [one for one in group.instances if one.state == "InService"] if group else []
    chosen = [one.id for one in sorted(found, key=lambda one: not one.healthy) if one.id.endswith(machine)]
    if not chosen:
        others = ", ".join(one.id for one in found) or "none is in service"
        raise StackError(f"{name} has no such machine: {others}. Workers start when there is work.")
    return chosen[0]


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
    return _in_foreground(command, {**os.environ, _RESPONSE: json.dumps(response)})


_PROC = Path("/proc")
# It would end the shell together with the demo (deploy/local/lifeline.py).
_NOT_INHERITED = ("LIFELINE",)


def run_beside(role: Role, machine: str, command: Sequence[str]) -> int:
    """Run a command, a shell without one, as the process of the role would see it; return the exit code."""
    name, env = choose_process(role, machine)
    operators.record_in_file(name, "exec", {"machine": name, "command": shlex.join(command) or "shell"})
    terminal = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
    shell = [os.environ.get("SHELL") or "/bin/sh"]
    return _in_foreground(list(command) or shell, {**env, **terminal}, settings.BASE_DIR)


def choose_process(role: Role, machine: str) -> tuple[str, dict[str, str]]:
    """Return the name and environment of a process of the role, the one whose name ends so; raise StackError."""
    if not _PROC.is_dir():
        raise NotKnownHere("only Linux shows the environment of a process")
    found = {env["PROCESS_NAME"]: env for env in _environments() if _is_of(role, env["PROCESS_NAME"])}
    chosen = sorted(name for name in found if name.endswith(machine))
    if not chosen:
        others = ", ".join(sorted(found)) or "none is running"
        raise StackError(f"There is no such process of {role.name}: {others}. Workers start when there is work.")
    env = {name: value for name, value in found[chosen[0]].items() if name not in _NOT_INHERITED}
    return chosen[0], env


def _is_of(role: Role, name: str) -> bool:
    return name == role.short or name.startswith(f"{role.short}-")


def _environments() -> Iterator[dict[str, str]]:
    """Yield the environment of each process that this local AWS has started."""
    for path in _PROC.glob("[0-9]*/environ"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            # It has ended, or is somebody else's.
            continue
        env = dict(one.split("=", 1) for one in text.split("\0") if "=" in one)
        if "PROCESS_NAME" in env and env.get("LOG_FOLDER") == settings.LOG_FOLDER:
            yield env


def _in_foreground(command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> int:
    """Run a program that has the terminal, Ctrl-C included; return its exit code, as a shell would say it."""
    with interrupts.handled(signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, handler=_left_to_program):
        code = subprocess.run(command, env=env, cwd=cwd, check=False).returncode
    return code if code >= 0 else 128 - code


def _left_to_program(number: int, frame: object) -> None:
    """Ignore a signal here; the program has it as usual, which it would not if it were ignored."""
