"""Processes import only what they need, and test files nothing of each other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "ultralytics", "cv2", "openvino", "matplotlib"}
IMAGES = {"PIL", "pillow_heif", "numpy", "pyvips", "simplejpeg"}
SIMULATION = {"simpy", "matplotlib", "metrics.simulator.simulation"}
PROCESSES = {
    "web": "import botsite.asgi",
    "beat and metrics worker": "from botsite.celery import app; app.finalize(); app.loader.import_default_modules()",
    "commands": "import django; django.setup(); from django.core.management import call_command as c, get_commands;"
    "[__import__(f'{app}.management.commands.{name}') for name, app in get_commands().items()"
    " if app == 'deploy']",
}


def _imported(process: str, folder: Path) -> set[str]:
    """Return the modules that a process has imported once it stands."""
    code = f"import sys; {process}; print(*sys.modules)"
    names = "JOBS_QUEUE_URL IMAGES_BUCKET PREDICTIONS_TABLE TELEGRAM_WEBHOOK_SECRET RESULTS_KEY DJANGO_SECRET_KEY"
    env = os.environ | dict.fromkeys([*names.split(), "TELEGRAM_TOKEN"], "x")
    env |= {"DATABASE_URL": f"sqlite:///{folder / 'logins.sqlite3'}", "DJANGO_SETTINGS_MODULE": "botsite.settings"}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    imported = set(ended.stdout.splitlines()[-1].split())
    assert "botsite.settings" in imported
    return imported


@pytest.mark.parametrize(
    ("process", "modules"),
    [
        ("web", HEAVY | IMAGES | SIMULATION),
        ("beat and metrics worker", HEAVY | IMAGES | SIMULATION),
        ("commands", HEAVY),
    ],
)
def test_process_does_not_import(process: str, modules: set[str], tmp_path: Path) -> None:
    assert _imported(PROCESSES[process], tmp_path) & modules == set()


def test_test_files_do_not_import_each_other() -> None:
    imports = re.compile(
        r"^(?:from|import) tests\.(?:\w+\.)*test_\w+|^from tests(?:\.\w+)* import test_\w+", re.MULTILINE
    )
    files = (ROOT / "tests").rglob("*.py")
    assert [str(file.relative_to(ROOT)) for file in files if imports.search(file.read_text(encoding="utf-8"))] == []
