"""The tasks keep their names, by which jobs of other releases ask for them, wherever their modules are."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["detection.detect", "metrics.publish", "upkeep.bury", "upkeep.sweep"]
# A process of its own: this one has imported the modules of tasks, whether or not a worker finds them.
WORKER = """
from botsite.celery import app
app.loader.import_default_modules()
print(*sorted(name for name in app.tasks if not name.startswith("celery.")))
print(*sorted({entry["task"] for entry in app.conf.beat_schedule.values()}))
"""


def test_worker_finds_tasks_by_their_names() -> None:
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "botsite.settings", "DJANGO_SECRET_KEY": "x"}
    found = subprocess.run(
        [sys.executable, "-c", WORKER], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    tasks, scheduled = found.stdout.splitlines()[-2:]
    assert tasks.split() == NAMES
    assert scheduled.split() == NAMES[1:]
