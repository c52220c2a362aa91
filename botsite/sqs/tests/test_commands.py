"""`celery -A app sqs status` counts, and `sqs dlq` lists, replays and deletes dead letters."""

import json
from types import SimpleNamespace

import pytest
from celery import Celery
from click.testing import CliRunner, Result

from .. import cli
from .support.app import make_app
from .support.worker import Aws, job


@pytest.fixture
def queue_url(aws: Aws) -> str:
    return aws.queue()


@pytest.fixture
def app(queue_url: str) -> Celery:
    return make_app(queue_url)


@pytest.fixture
def dead(aws: Aws, queue_url: str) -> str:
    """Return the URL of a dead-letter queue with two jobs, and two letters that no worker can run."""
    url = aws.dead_letters_of(queue_url)
    for body in (job("one"), job("two"), "not JSON", job("three") | {"headers": {"task": "unheard.of", "id": "1"}}):
        text = body if isinstance(body, str) else json.dumps(body)
        aws.client.send_message(QueueUrl=url, MessageBody=text)
    return url


def run(app: Celery, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli.sqs, list(arguments), obj=SimpleNamespace(app=app), input=typed)


def test_status_counts_messages(aws: Aws, app: Celery, dead: str) -> None:
    app.send_task("note", ("now",))
    app.send_task("note", ("later",), countdown=60)
    assert run(app, "status").output == "jobs: waiting 1, in work or to be tried again 0, for later 1, dead letters 4\n"


def test_queue_without_dead_letters_is_said(aws: Aws, app: Celery) -> None:
    assert "dead letters no queue for them" in run(app, "status").output
    refused = run(app, "dlq", "list")
    assert refused.exit_code == 1
    assert "has no redrive policy" in refused.output


def test_list_says_what_no_worker_can_run(aws: Aws, app: Celery, dead: str) -> None:
    lines = run(app, "dlq", "list").output.splitlines()
    ends = sorted(line.split("  ", 3)[3] for line in lines)
    assert ends == ["-  unreadable: KeyError", "note", "note", "unheard.of  unknown task"]
    assert aws.depth(dead, "ApproximateNumberOfMessages") == 4


def test_replay_leaves_out_what_no_worker_can_run(aws: Aws, app: Celery, queue_url: str, dead: str) -> None:
    output = run(app, "dlq", "replay", "--queue", "jobs").output
    assert output == "jobs: 2 replayed; 2 stay, because no worker could run them\n"
    assert (aws.depth(queue_url), aws.depth(dead, "ApproximateNumberOfMessages")) == (2, 2)


def test_purge_asks(aws: Aws, app: Celery, dead: str) -> None:
    assert run(app, "dlq", "purge").exit_code == 1
    assert run(app, "dlq", "purge", typed="n\n").exit_code == 1
    assert aws.depth(dead) == 4
    assert run(app, "dlq", "purge", "--yes").output == "jobs: 4 deleted\n"
    assert not aws.depth(dead)


def test_unknown_queue_is_refused(aws: Aws, app: Celery) -> None:
    assert "There is no queue x, but: jobs." in run(app, "dlq", "list", "--queue", "x").output


def test_app_on_another_transport_is_told(aws: Aws) -> None:
    app = Celery("other", set_as_current=False, fixups=[], broker="memory://")
    assert "does not use this transport" in run(app, "status").output
