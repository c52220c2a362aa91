"""The command line: what it lists, which Python it takes, and what it calls its version."""

import os
import re
import subprocess
import sys
from pathlib import Path

from django.template.loader import render_to_string

import botsite
from botsite import release

ROOT = Path(__file__).parents[1]
# A Python that has no packages but the standard library's.
BARE = [sys._base_executable, "-S"]  # type: ignore[attr-defined]


def manage(*arguments: str, python: list[str], root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run manage.py as it is run from a shell where nothing was activated."""
    command = [*python, str(root / "manage.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_arguments_list_our_commands() -> None:
    listed = manage(python=[sys.executable])
    ours = {file.stem for file in (ROOT / "deploy" / "management" / "commands").glob("[!_]*.py")}
    assert (listed.returncode, listed.stderr) == (0, "")
    assert set(re.findall(r"^  (\w+)  +\w", listed.stdout, re.MULTILINE)) == ours
    assert "manage.py help" in listed.stdout


def test_version_names_release_commit_and_model() -> None:
    said = manage("version", python=[sys.executable])
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == f"{release.text()}\nmodel: {Path(os.environ['YOLO_WEIGHTS']).name}\n"
    assert said.stdout.startswith(f"{botsite.__version__} ({head.stdout.strip()}")


def test_version_names_model_of_demo(yolox_nano: Path) -> None:
    said = manage("version", python=["env", "-u", "YOLO_WEIGHTS", sys.executable])
    assert "\nmodel: YOLO" in said.stdout


def test_python_without_django_uses_virtual_environment() -> None:
    said = manage("version", python=BARE)
    expected = release.text() if (ROOT / ".venv").exists() else "make demo"
    assert expected in said.stdout + said.stderr


def test_missing_virtual_environment_gives_advice(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_bytes((ROOT / "manage.py").read_bytes())
    failed = manage(python=BARE, root=tmp_path)
    assert failed.returncode == 1
    assert "make demo" in failed.stderr


def test_incomplete_virtual_environment_does_not_loop(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_bytes((ROOT / "manage.py").read_bytes())
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / ".venv")], check=True)
    failed = manage(python=BARE, root=tmp_path)
    assert failed.returncode == 1
    assert "incomplete" in failed.stderr


def test_pages_show_version() -> None:
    assert release.text() in render_to_string("admin/base_site.html", {"is_nav_sidebar_enabled": False})
