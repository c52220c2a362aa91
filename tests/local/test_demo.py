"""`manage.py demo` answers a photo and leaves nothing running, however it ends."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local import lifeline
from tests.support.processes import left_of, open_to_others, runs, wait_until

pytestmark = pytest.mark.slow


ROOT = Path(__file__).resolve().parents[2]
ROLES_AND_EMULATORS = ("ministack", "telegram", "balancer", "polybot", "polybot", "metrics", "yolo5")
ANSWERED = re.compile(r"answered prediction_id=[0-9a-f]{32} objects=[1-9]\d* seconds=\d+\.\d")


def _demo(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "demo", "--folder", str(folder), *arguments]
    env = lifeline.tied({**os.environ, **env})
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_once_answers_photograph_and_leaves_nothing_running(tmp_path: Path, yolox_nano: Path) -> None:
    demo = _demo(tmp_path, "--once", YOLO_WEIGHTS="")
    output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "80 kinds of everyday objects" in output
    assert "1 person" in output
    assert ANSWERED.fullmatch(output.splitlines()[-1])
    assert (tmp_path / "answer.jpg").read_bytes().startswith(b"\xff\xd8")
    assert left_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_demo_stopped_while_starting_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    demo = _demo(tmp_path)
    wait_until(lambda: any("ministack" in " ".join(process.cmdline()) for process in left_of(tmp_path)))
    os.kill(demo.pid, number)
    output, _ = demo.communicate()
    assert demo.returncode != 0
    assert "stopped before the sample photo was answered" in output
    assert left_of(tmp_path) == []


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Also in a folder that an older demo has left open."""
    folder = tmp_path / "demo"
    (folder / "logs").mkdir(parents=True)
    for name in ("answer.jpg", "admin.sqlite3", "env", "logs/telegram.log"):
        (folder / name).touch(mode=0o644)
    demo = _demo(folder)
    wait_until(lambda: "AWS_" in (folder / "env").read_text() or demo.poll() is not None)
    assert demo.poll() is None
    written = {one.name for one in folder.rglob("*")}
    assert written >= {"env", "answer.jpg", "logs", "ministack.log", "scaling.log", "certificate.pem"}
    assert [name for name in written if name.startswith("admin-") and name.endswith(".sqlite3")]
    assert open_to_others(folder) == []
    os.kill(demo.pid, signal.SIGTERM)
    demo.communicate()
    assert open_to_others(folder) == []


def test_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w") as output:
        command = [sys.executable, "manage.py", "demo", "--folder", str(tmp_path)]
        demo = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    wait_until(lambda: (tmp_path / "env").exists() or demo.poll() is not None)
    # With its grandchildren: a site's workers, the metric's beat, the decoder.
    started = psutil.Process(demo.pid).children(recursive=True)
    assert len(started) > len(ROLES_AND_EMULATORS), (tmp_path / "output").read_text()
    demo.kill()
    demo.wait()
    wait_until(lambda: not [one for one in started if runs(one)])
    assert left_of(tmp_path) == []


def test_demo_killed_while_starting_leaves_nothing_running(tmp_path: Path) -> None:
    demo = _demo(tmp_path)
    wait_until(lambda: any("ministack" in " ".join(process.cmdline()) for process in left_of(tmp_path)))
    demo.kill()
    demo.communicate()
    wait_until(lambda: left_of(tmp_path) == [])


@pytest.mark.smoke
def test_missing_model_fails_at_once(tmp_path: Path) -> None:
    environment = os.environ | {"YOLO_WEIGHTS": str(tmp_path / "missing.pt")}
    command = [sys.executable, "manage.py", "demo", "--once", "--folder", str(tmp_path / "demo")]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "missing.pt, which does not exist" in ended.stderr
    assert not (tmp_path / "demo" / "logs").exists()


def test_broken_model_ends_demo_with_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"no model")
    environment = os.environ | {"YOLO_WEIGHTS": str(tmp_path / "broken.pt")}
    command = [sys.executable, "manage.py", "demo", "--once", "--folder", str(tmp_path / "demo")]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "broken.pt is not a loadable checkpoint" in ended.stderr
    assert left_of(tmp_path) == []
