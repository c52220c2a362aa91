"""The command of each role's process."""

import sys
from pathlib import Path

from botsite.roles import POLYBOT, Role

# What a Celery worker prints once it receives jobs.
READY = " ready."
# What a worker logs that has loaded its model and may not receive yet.
WAITING = "machine_waiting"


def script(name: str) -> str:
    """Return the path of a program in this Python environment."""
    return str(Path(sys.executable).with_name(name))


def site(host: str, port: int) -> list[str]:
    """Return the command of a site that listens there."""
    return [*_command(POLYBOT), "-b", f"{host}:{port}"]


def celery(role: Role, name: str) -> list[str]:
    """Return the command of a worker of Celery; each on a machine needs its own name."""
    return [*_command(role), "-n", f"{name}@local"]


def _command(role: Role) -> list[str]:
    return [script(role.command[0]), *role.command[1:]]
