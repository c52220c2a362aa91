"""A worker on standby counts while it works, and only then: the metric and the sites hear it in the table."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from celery import states
from django.conf import settings

from botsite import aws, pause, standby
from deploy.local.processes import Child
from deploy.local.stack import LocalStack, script
from metrics import tasks, wait
from metrics.backlog import Depth
from metrics.cloudwatch import Group as Workers
from metrics.cloudwatch import LaunchTemplate
from tests.support.jobs_queue import Queue
from tests.support.metric_group import Group
from tests.support.metric_group import group as group
from tests.support.processes import wait_until

KEY = {"prediction_id": "machine#standby"}
_names = count(1)


@pytest.fixture(autouse=True)
def table(stack: LocalStack) -> Iterator[None]:
    """Forget what a standby worker said."""
    yield
    aws.dynamodb().delete_item(TableName=settings.PREDICTIONS_TABLE, Key=KEY)


def say(seconds_ago: float) -> None:
    """Say what a standby worker says that did well so long ago."""
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=KEY | {"heard_at": at})


@pytest.fixture
def worker(stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Queue], Child]]:
    """Return a function that starts a standby worker of a queue, whose word counts for 3 s."""
    monkeypatch.setattr(standby, "_HEARD_SECONDS", 3.0)
    started: list[Child] = []

    def start(queue: Queue) -> Child:
        name = f"standby-{next(_names)}"
        command = [script("celery"), "-A", "botsite", "worker", "-Q", "jobs", "-I", "tests.support.worker_tasks"]
        ours = {"JOBS_QUEUE_URL": queue.url, "LIVENESS_FILE": str(tmp_path / "alive"), "STANDBY_WORKER": "on"}
        started.append(stack.children.start(name, [*command, "-n", name], stack.env | ours))
        return started[-1]

    yield start
    for child in started:
        child.kill()


@pytest.mark.parametrize(("seconds_ago", "heard"), [(0, True), (50, True), (-30, True), (61, False), (10**6, False)])
def test_word_counts_for_a_minute(seconds_ago: float, heard: bool) -> None:
    say(seconds_ago)
    assert standby.heard() is heard


@pytest.mark.parametrize("item", [{}, {"heard_at": "soon"}, {"busy": 1}])
def test_nothing_said_is_no_standby(item: dict[str, object]) -> None:
    if item:
        aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=KEY | item)
    assert not standby.heard()


def test_lone_photo_starts_no_machine_while_standby_is_heard(group: Group) -> None:
    say(0)
    group.send(1)
    tasks.publish()
    assert group.both == ({0.0}, {0.0})


def test_photo_starts_a_machine_once_standby_is_silent(group: Group) -> None:
    say(61)
    group.send(1)
    tasks.publish()
    assert group.both == ({11.0}, {1.0})


def test_burst_starts_machines_for_what_standby_cannot_finish(group: Group) -> None:
    say(0)
    group.send(31)
    tasks.publish()
    assert group.both == ({21.0}, {21.0})


def test_no_machine_is_kept_next_to_standby(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "KEEP_WARM_SECONDS", 600.0)
    say(0)
    group.resize(1)
    tasks.publish()
    assert group.both == ({0.0}, {0.0})


def test_people_are_not_told_to_wait_for_a_machine() -> None:
    none = Workers("objdet-yolo5", 0, 0, 4, (), LaunchTemplate(), "EC2", ())
    assert wait._ready_in(Depth(1, 0), none, on_standby=True) == [0.0]


@pytest.mark.slow
def test_idle_standby_is_heard_until_it_leaves(worker: Callable[[Queue], Child]) -> None:
    child = worker(Queue())
    wait_until(standby.heard)
    child.terminate()
    assert child.wait() == 0
    item = aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=KEY)["Item"]
    assert item["heard_at"].startswith("1970")


@pytest.mark.slow
def test_standby_that_gives_a_job_back_is_silent_until_one_succeeds(
    worker: Callable[[Queue], Child], tmp_path: Path
) -> None:
    queue = Queue()
    worker(queue)
    wait_until(standby.heard)
    queue.send("tests.fails", file=str(tmp_path / "failed"))
    wait_until(lambda: not standby.heard())
    # It gets no job any more, and would say that it is idle.
    wait_until(lambda: queue.depth(queue.dead_url) == 1)
    assert not standby.heard()
    queue.send("tests.slow", file=str(tmp_path / "done"), seconds=0)
    wait_until(standby.heard)


@pytest.mark.slow
def test_hanging_standby_is_silent(worker: Callable[[Queue], Child], tmp_path: Path) -> None:
    queue = Queue()
    worker(queue)
    wait_until(standby.heard)
    queue.send("tests.slow", file=str(tmp_path / "hangs"), seconds=600)
    wait_until(lambda: not standby.heard())
    assert queue.depth(queue.url) == 1


@pytest.mark.slow
def test_paused_standby_is_silent(worker: Callable[[Queue], Child]) -> None:
    worker(Queue())
    wait_until(standby.heard)
    pause.begin(settings.PREDICTIONS_TABLE, "arn:aws:iam::000000000000:user/ann")
    try:
        wait_until(lambda: not standby.heard())
    finally:
        pause.end(settings.PREDICTIONS_TABLE)


def test_standby_after_a_crash_has_to_finish_a_job_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIVENESS_FILE", tmp_path / "alive")
    settings.LIVENESS_FILE.touch()
    one = standby.Standby()
    one.idle()
    assert one.well_at == 0
    one.finished(state=states.SUCCESS)
    assert one.well_at > 0
    one.finished(state=states.REJECTED)
    one.idle()
    assert one.well_at == 0
