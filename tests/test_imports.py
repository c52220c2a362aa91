"""Only a worker that loads a model pays for torch, and only a simulation for what it computes and draws with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.stack import LocalStack

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "ultralytics", "cv2", "openvino", "matplotlib"}
SIMULATION = {"simpy", "matplotlib", "metrics.simulation"}
PROCESSES = {
    "web": "import botsite.asgi",
    "beat and metrics worker": "from botsite.celery import app; app.finalize(); app.loader.import_default_modules()",
    "commands": "import django; django.setup(); from django.core.management import call_command as c, get_commands;"
    "[__import__(f'{app}.management.commands.{name}') for name, app in get_commands().items()"
    " if app in ('deploy', 'detection', 'metrics')]",
}


def _imported(stack: LocalStack, process: str) -> set[str]:
    """Return the modules that a process has imported once it stands."""
    code = f"import sys; {process}; print(*sys.modules)"
    env = os.environ | stack.env
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    imported = set(ended.stdout.splitlines()[-1].split())
    assert "botsite.settings" in imported
    return imported


@pytest.mark.parametrize(
    ("process", "modules"),
    [("web", HEAVY | SIMULATION), ("beat and metrics worker", HEAVY | SIMULATION), ("commands", HEAVY)],
)
def test_a_process_has_not_imported(stack: LocalStack, process: str, modules: set[str]) -> None:
    assert _imported(stack, PROCESSES[process]) & modules == set()
