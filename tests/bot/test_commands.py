"""The command line: what it lists, which Python it takes, and what it calls its version."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.template.loader import render_to_string

import botsite
from botsite import release
from deploy.management import utility

ROOT = Path(__file__).parents[2]
# A Python that has no packages but the standard library's.
BARE = [sys._base_executable, "-S"]  # type: ignore[attr-defined]


def manage(*arguments: str, python: list[str], root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run manage.py as it is run from a shell where nothing was activated."""
    command = [*python, str(root / "manage.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def listed(said: str) -> list[str]:
    """Return the commands that have a line of their own."""
    return re.findall(r"^  (\w+)  +\w", said, re.MULTILINE)


def test_no_arguments_list_our_commands_by_what_they_are_for() -> None:
    said = manage(python=[sys.executable])
    ours = {file.stem for file in (ROOT / "deploy" / "management" / "commands").glob("[!_]*.py")}
    assert (said.returncode, said.stderr) == (0, "")
    assert sorted(listed(said.stdout)) == sorted(ours - {"stack_env", "export_weights"})
    assert re.findall(r"\n\n([A-Z].*)\n  ", said.stdout) == ["Every day", "Set up", "On this machine", "Measure"]
    assert "manage.py help" in said.stdout


def test_every_command_is_listed_in_60_characters() -> None:
    names = [name for group in utility.LISTED.values() for name in group]
    assert {name: text for name in names if len(text := utility.sentence(name)) > 60} == {}


@pytest.mark.slow
def test_help_lists_djangos_commands_too() -> None:
    ours, helped = (manage(*given, python=[sys.executable]).stdout for given in ((), ("help",)))
    assert listed(helped) == listed(ours)
    assert "collectstatic" in helped
    assert "stack_env" not in helped
    assert "usage: manage.py stack_env" in manage("help", "stack_env", python=[sys.executable]).stdout


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
