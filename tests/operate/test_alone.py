"""The operator's commands work with credentials and a region alone, and what fails is one line."""

import json
import os
import subprocess
from uuid import uuid4

import pytest

from deploy.local.stack import PREFIX, LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import queries
from tests.support import letters, operating, turn
from tests.support.cases import slow_after
from tests.support.processes import free_port, wait_until

COMMANDS = [
    ["status"],
    ["logs"],
    ["dlq", "list"],
    ["trace", "nobody"],
    ["doctor"],
    ["rollback", "--list"],
    ["pause"],
    ["resume"],
    ["scale", "--off"],
]
each_command = pytest.mark.parametrize("command", slow_after(1, COMMANDS), ids=[command[0] for command in COMMANDS])


def test_state_is_shown(stack: LocalStack) -> None:
    def webhook() -> str | None:
        # It waits for seconds, and then says that this is not known: the machine may be busy.
        shown = json.loads(operating.manage("status", "--json", env=operating.of(stack)).stdout)["webhook"]
        return shown.get("url")

    assert wait_until(webhook) == stack.env["TELEGRAM_WEBHOOK_URL"]


def test_photo_is_traced(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    user.wait_for_reply(user.send_photo(photo))
    identity = queries.latest_of_chat(user.chat_id)[0]
    for prefix in ([], ["--prefix", PREFIX]):
        done = operating.manage("trace", identity, "--json", *prefix, env=operating.of(stack))
        assert json.loads(done.stdout)["status"] == "succeeded", done.stderr


def test_dead_letters_are_listed_and_purged(stack: LocalStack) -> None:
    with turn.held("bury", "sweep"):
        letters.clear()
        letter = letters.put("not a job")
        letters.wait_until_readable()
        listed = operating.manage("dlq", "list", "--json", env=operating.of(stack))
        purged = operating.manage("dlq", "purge", "--yes", "--id", letter, env=operating.of(stack))
    assert [one["message_id"] for one in json.loads(listed.stdout)] == [letter], listed.stderr
    assert purged.stdout.endswith("Deleted 1 dead letter\n"), purged.stderr


def is_known(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str] | None:
    return None if "not within" in done.stdout else done


@each_command
def test_missing_service_is_one_line(stack: LocalStack, command: list[str]) -> None:
    # It waits for seconds, and then says that this is not known: the machine may be busy.
    done = wait_until(lambda: is_known(operating.manage(*command, "--prefix", "nosuch", env=operating.of(stack))))
    assert done
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CommandError: There is no service nosuch in us-east-1")
    assert len(done.stderr.splitlines()) == 1


@each_command
def test_missing_credentials_are_one_line(stack: LocalStack, command: list[str]) -> None:
    bare = {"PATH": os.environ["PATH"], "DEMO_FOLDER": os.devnull, "HOME": "/nonexistent"}
    env = {**bare, "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": stack.endpoint}
    done = operating.manage(*command, env=env)
    assert "There are no AWS credentials here" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@each_command
def test_unreachable_aws_is_one_line(command: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = operating.manage(*command, env=operating.environment(url))
    assert f"Can't reach {url}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_unreachable_part_of_aws_hides_no_other(stack: LocalStack) -> None:
    names = ("AUTO_SCALING", "CLOUDWATCH", "EC2")
    places = {f"AWS_ENDPOINT_URL_{name}": stack.endpoint for name in names}
    places["AWS_ENDPOINT_URL_CLOUDFORMATION"] = f"http://127.0.0.1:{free_port()}"
    done = operating.manage("status", "--json", env=operating.environment("", **places))
    found = json.loads(done.stdout)
    assert found["stacks"]["not_known"].startswith("not known: "), done.stderr
    assert found["machines"]["metricStreamer"]["maximum"] == 2


def test_environment_of_another_service_counts_without_prefix(stack: LocalStack) -> None:
    env = operating.of(stack) | {"PREDICTIONS_TABLE": "nosuch"}
    assert "ResourceNotFoundException" in operating.manage("trace", uuid4().hex, env=env).stderr
    assert "There is no photo" in operating.manage("trace", uuid4().hex, "--prefix", PREFIX, env=env).stderr
