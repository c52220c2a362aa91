"""`loadtest` starts a stack if the environment names none; it scales like the demo's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import left_of

pytestmark = pytest.mark.slow(quick="tests/deploy/test_loadtest.py")

ROOT = Path(__file__).resolve().parents[2]


def test_stack_is_started_scaled_and_stopped(tmp_path: Path, weights: str) -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "DEMO_FOLDER")} | {"YOLO_WEIGHTS": weights}
    command = [sys.executable, "manage.py", "loadtest", "--photos", "2", "--shape", "burst", "--out", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "2 of 2 photos sent, 2 answered, 0 lost, 0 doubled." in ended.stdout
    samples = json.loads((tmp_path / "report.json").read_text())["samples"]
    assert (samples[0]["desired"], max(sample["in_service"] for sample in samples)) == (0, 1)
    assert left_of(tmp_path) == []
