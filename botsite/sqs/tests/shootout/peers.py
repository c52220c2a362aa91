"""Those that are compared, and the environment of each."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

AT_ONCE = 16  # Tasks that each works on.
OURS = Path(__file__).parents[2]
_PACKAGES = "celery[sqs]==5.7.0"  # Of this, too: its own code is taken from where it is.
_CELERY = ("-m", "celery", "-A", "celery_app", "worker", "--concurrency", str(AT_ONCE))
_QUIET = ("--without-heartbeat", "--without-gossip", "--without-mingle")


@dataclass(frozen=True)
class Peer:
    """One of them: what is installed, how its worker starts, and what sends to it."""

    name: str
    requirement: str
    worker: tuple[str, ...]
    sender: str = "celery_app"
    told: Mapping[str, str] = field(default_factory=lambda: {"transport": "this"})


PEERS = (
    Peer("celery-on-sqs", _PACKAGES, _CELERY),
    Peer("celery-on-sqs, 16 in reserve", _PACKAGES, (*_CELERY, "--prefetch-multiplier", "2")),
    Peer("celery-on-sqs, prefork", _PACKAGES, _CELERY, told={"transport": "this", "pool": "prefork"}),
    Peer("kombu, threads", _PACKAGES, (*_CELERY, *_QUIET, "--pool", "threads"), told={"transport": "kombu"}),
    Peer(
        "taskiq-aio-sqs",
        "taskiq-aio-sqs==2.1.1",
        (
            *("-m", "taskiq", "worker", "taskiq_app:broker", "--workers", "1"),
            *("--max-async-tasks", str(AT_ONCE), "--max-threadpool-threads", str(AT_ONCE)),
        ),
        "taskiq_app",
    ),
    Peer(
        "django-tasks-sqs",
        "django-tasks-sqs==0.2.0",
        ("-m", "django", "sqs_worker", "--settings", "django_app", "--concurrency", str(AT_ONCE)),
        "django_app",
    ),
)


class Environments:
    """A virtual environment for each requirement, made once."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder, self._python = folder, python

    def python_of(self, peer: Peer) -> str:
        """Return the interpreter that has what a peer requires."""
        python = self._folder / peer.requirement / "bin" / "python"
        if not python.exists():
            sys.stderr.write(f"installing {peer.requirement}\n")
            subprocess.run([self._python, "-m", "venv", self._folder / peer.requirement], check=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, peer.requirement], check=True)
        return str(python)
