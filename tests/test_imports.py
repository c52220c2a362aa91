"""Only a worker that loads a model pays for torch, and only a simulation for what it computes and draws with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.stack import LocalStack

ROOT = Path(__file__).resolve().parent.parent
HEAVY = "{'torch', 'ultralytics', 'cv2', 'openvino', 'matplotlib'} & set(sys.modules)"
SIMULATION = "{'simpy', 'matplotlib', 'metrics.simulation'} & set(sys.modules)"
PROCESSES = {
    "web": "import botsite.asgi",
    "beat and metrics worker": "from botsite.celery import app; app.finalize(); app.loader.import_default_modules()",
    "commands": "import django; django.setup(); from django.core.management import call_command as c, get_commands;"
    "[__import__(f'{app}.management.commands.{name}') for name, app in get_commands().items()"
    " if app in ('deploy', 'detection', 'metrics')]",
}


def _imported(stack: LocalStack, process: str, modules: str) -> str:
    """Return which of the modules a process has imported once it stands."""
    code = f"import sys; {process}; print(sorted({modules}))"
    env = os.environ | stack.env
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("process", PROCESSES)
def test_only_the_worker_imports_torch(stack: LocalStack, process: str) -> None:
    assert _imported(stack, PROCESSES[process], HEAVY) == "[]"


@pytest.mark.parametrize("process", ["web", "beat and metrics worker"])
def test_no_role_imports_the_simulation(stack: LocalStack, process: str) -> None:
    assert _imported(stack, PROCESSES[process], SIMULATION) == "[]"
