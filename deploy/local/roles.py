"""Say how the process of each role is started, and when it works."""

import sys
from pathlib import Path

# What a Celery worker says when it receives.
READY = " ready."


def script(name: str) -> str:
    """Return a program of the environment that runs this."""
    return str(Path(sys.executable).with_name(name))


def polybot(host: str, port: int) -> list[str]:
    """Return the command of a site."""
    return [script("gunicorn"), "-c", "deploy/gunicorn.conf.py", "-b", f"{host}:{port}", "botsite.asgi:application"]


def yolo5(name: str) -> list[str]:
    """Return the command of a worker; the name tells those of one machine apart."""
    return [script("celery"), "-A", "botsite", "worker", "-Q", "jobs", "-n", f"{name}@local"]


def metrics(name: str) -> list[str]:
    """Return the command of the metricStreamer."""
    return [script("celery"), "-A", "botsite", "worker", "-B", "-Q", "metrics", "-n", f"{name}@local"]
