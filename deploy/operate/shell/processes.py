"""Open a shell with the environment of a role's process, where the local AWS runs machines as processes."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings

from botsite.roles import Role
from deploy.cfn.cloudformation import StackError
from deploy.operate.readings import NotKnownHere
from deploy.operate.shell import act, foreground

_PROC = Path("/proc")
# It would end the shell together with the demo (deploy/local/lifeline.py).
_NOT_INHERITED = ("LIFELINE",)


def run(role: Role, machine: str, command: Sequence[str]) -> int:
    """Run a command, a shell without one, as the process of the role would see it; return the exit code."""
    name, env = choose(role, machine)
    with (Path(settings.LOG_FOLDER) / f"{name}.log").open("a") as log:
        log.write(act.line(os.environ.get("USER") or f"uid {os.getuid()}", name, command) + "\n")
    terminal = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
    shell = [os.environ.get("SHELL") or "/bin/sh"]
    return foreground.run(list(command) or shell, {**env, **terminal}, settings.BASE_DIR)


def choose(role: Role, machine: str) -> tuple[str, dict[str, str]]:
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
