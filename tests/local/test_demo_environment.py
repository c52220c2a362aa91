"""`manage.py` finds the running demo, unless another service is meant."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import demo_environment

ROOT = Path(__file__).resolve().parents[2]
DEMO = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "ADMIN_PASSWORD": "a b'c"}
SAID = "Using the demo that is running here, at http://127.0.0.1:1, not AWS.\n"
PRINT = """
import os, sys
from pathlib import Path
from deploy.local import demo_environment
demo_environment.ROOT = Path(os.environ.get("ROOT") or demo_environment.ROOT)
demo_environment.adopt(["manage.py", *sys.argv[1:]])
print(os.environ.get("ADMIN_PASSWORD", ""), end="")
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a running demo."""
    with demo_environment.published(DEMO, tmp_path):
        yield tmp_path


def adopted(folder: Path, *arguments: str, **env: str) -> tuple[str, str]:
    """Return a setting as a command would see it, and its stderr."""
    env = {"PATH": os.environ["PATH"], "DEMO_FOLDER": str(folder), **env}
    command = [sys.executable, "-c", PRINT, *(arguments or ["doctor"])]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return ended.stdout, ended.stderr


def test_running_demo_is_used_and_named(running: Path) -> None:
    assert adopted(running) == ("a b'c", SAID)


def test_only_owner_may_read_file(running: Path) -> None:
    assert (running / "env").stat().st_mode & 0o777 == 0o600


def test_second_demo_of_a_folder_is_refused_and_told_where_the_first_runs(running: Path) -> None:
    with demo_environment.alone(running):
        (running / "logs").mkdir()
        (running / "logs" / "polybot.log").write_text("a line")
        command = [sys.executable, "manage.py", "demo", "--folder", str(running)]
        env = {"PATH": os.environ["PATH"]}
        second = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        found = adopted(running)
    first = f"process {os.getpid()}, with its AWS at http://127.0.0.1:1. Stop that one"
    assert (second.returncode, first in second.stderr) == (1, True)
    assert (running / "logs" / "polybot.log").read_text() == "a line"
    assert found == ("a b'c", SAID)


def test_folder_of_ended_demo_is_free(tmp_path: Path) -> None:
    for _ in range(2):
        with demo_environment.alone(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_file_is_removed_with_demo(tmp_path: Path) -> None:
    with demo_environment.published(DEMO, tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_file_of_newer_demo_stays(tmp_path: Path) -> None:
    with demo_environment.published(DEMO, tmp_path):
        newer = demo_environment.published(DEMO, tmp_path)
        newer.__enter__()
    assert adopted(tmp_path) == ("a b'c", SAID)
    newer.__exit__(None, None, None)


def test_file_of_killed_demo_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("AWS_ENDPOINT_URL=http://127.0.0.1:1\nADMIN_PASSWORD=x\n")
    assert adopted(tmp_path) == ("", "")


def test_nothing_is_printed_without_demo(tmp_path: Path) -> None:
    assert adopted(tmp_path / "nothing") == ("", "")


@pytest.mark.parametrize(
    "name", ["AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "JOBS_QUEUE_URL"]
)
def test_environment_of_another_service_wins(running: Path, name: str) -> None:
    said = f"A demo is running here, but {name} is set: using what that names, not the demo.\n"
    assert adopted(running, **{name: "x"}) == ("", said)


@pytest.mark.parametrize("line", ["AWS_PROFILE=work", "export JOBS_QUEUE_URL=https://sqs"])
def test_env_file_of_another_service_wins(running: Path, tmp_path: Path, line: str) -> None:
    commands = tmp_path / "deploy" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "doctor.py").touch()
    assert adopted(running, ROOT=str(tmp_path)) == ("a b'c", SAID)
    (tmp_path / ".env").write_text(f"# AWS_PROFILE=x\nAWS_REGION=eu-west-1\n{line}\n")
    found, said = adopted(running, ROOT=str(tmp_path))
    assert (found, "is set: using what that names, not the demo" in said) == ("", True)


@pytest.mark.parametrize("command", [["demo"], ["poll"], ["version"], ["loadtest", "--local"], ["migrate"]])
def test_offline_command_is_left_alone(running: Path, command: list[str]) -> None:
    assert adopted(running, *command) == ("", "")
