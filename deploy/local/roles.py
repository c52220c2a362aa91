"""The command of each role's process."""

import sys
from pathlib import Path

# What a Celery worker prints once it receives jobs.
READY = " ready."
# What a worker logs that has loaded its model and may not receive yet.
WAITING = "machine_waiting"


def script(name: str) -> str:
    """Return the path of a program in this Python environment."""
    return str(Path(sys.executable).with_name(name))


def polybot(host: str, port: int) -> list[str]:
    """Return the command of a site."""
    return [script("gunicorn"), "-c", "deploy/gunicorn.conf.py", "-b", f"{host}:{port}", "botsite.asgi:application"]


def yolo5(name: str) -> list[str]:
    """Return the command of a worker; each on a machine needs its own name."""
    return [script("celery"), "-A", "botsite", "worker", "-Q", "jobs", "-n", f"{name}@local"]


def metrics(name: str) -> list[str]:
    """Return the command of the metricStreamer."""
    return [script("celery"), "-A", "botsite", "worker", "-B", "-Q", "metrics", "-n", f"{name}@local"]
