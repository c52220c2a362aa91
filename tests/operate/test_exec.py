"""`exec` opens a shell with the environment of a role's process on the local AWS, and the log says who did."""

import json
from pathlib import Path

import pytest

from deploy.local.stack import LocalStack
from tests.support import operating


def events(folder: Path, role: str) -> list[dict[str, str]]:
    """Return what operators did, as the role's lines say."""
    lines = [line for path in folder.glob(f"{role}*.log") for line in path.read_text().splitlines()]
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line["event"] == "operator_acts"]


@pytest.fixture
def local(stack: LocalStack) -> dict[str, str]:
    """The environment of an operator of the local AWS."""
    return operating.of(stack) | {"LOG_FOLDER": stack.env["LOG_FOLDER"], "USER": "ada"}


def test_local_command_has_environment_of_the_role(stack: LocalStack, local: dict[str, str]) -> None:
    done = operating.manage("exec", "yolo5", "--", "printenv", "JOBS_QUEUE_URL", env=local)
    assert (done.returncode, done.stdout.strip()) == (0, stack.env["JOBS_QUEUE_URL"]), done.stderr
    done_by = events(Path(stack.env["LOG_FOLDER"]), "yolo5")[-1]
    assert (done_by["operator"], done_by["operation"], done_by["command"]) == ("ada", "exec", "printenv JOBS_QUEUE_URL")


@pytest.mark.slow
def test_shell_ends_with_its_input_and_code(local: dict[str, str]) -> None:
    assert operating.manage("exec", "metrics", env=local | {"SHELL": "/bin/sh"}).returncode == 0
    assert operating.manage("exec", "metricStreamer", "--", "sh", "-c", "exit 7", env=local).returncode == 7


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["yolo5", "--machine", "nosuch"], "There is no such process of yolo5: yolo5-1"),
        (["yolo5", "--", "no-such-program"], "no-such-program: No such file"),
        (["cook"], "'cook' is no role: the roles are polybot, yolo5, metricStreamer."),
    ],
)
def test_what_cannot_be_run_is_one_line(local: dict[str, str], arguments: list[str], complaint: str) -> None:
    done = operating.manage("exec", *arguments, env=local)
    assert done.returncode != 0
    assert complaint in done.stderr.splitlines()[-1]
