"""A worker keeps its messages, releases the rest, ends when it should, and shows that it is alive."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest

from botsite.sqs.options import Options
from botsite.sqs.watchdog import Signs, Watchdog
from deploy.local.processes import PATIENCE_SECONDS, Child
from deploy.local.stack import LocalStack, script
from tests.support.jobs_queue import MAX_RECEIVES, VISIBILITY_SECONDS, Queue
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow

_names = count(1)


@pytest.fixture
def queue(stack: LocalStack) -> Queue:
    return Queue()


@pytest.fixture
def worker(stack: LocalStack, queue: Queue, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Return a function that starts a worker of the queue, without a model, and waits until it is ready."""
    started = []

    def start(*options: str, **env: str) -> Child:
        name = f"life-{next(_names)}"
        command = [
            script("celery"),
            "-A",
            "botsite",
            "worker",
            "-Q",
            "metrics",
            "-I",
            "tests.support.worker_tasks",
            "-n",
            name,
        ]
        command += options
        ours = {"METRICS_QUEUE_URL": queue.url, "LIVENESS_FILE": str(tmp_path / name)}
        child = stack.children.start(name, command, stack.env | ours | env)
        started.append(child)
        child.wait_ready(lambda: child.said(" ready."))
        return child

    yield start
    for child in started:
        child.kill()


@pytest.fixture
def beating(worker: Callable[..., Child]) -> tuple[Child, psutil.Process]:
    """Return a worker with its beat, a process of its own."""
    child = worker("-B")
    beats = wait_until(lambda: psutil.Process(child.process.pid).children())
    return child, beats[0]


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_job_of_three_visibility_timeouts_starts_once(
    worker: Callable[..., Child], queue: Queue, tmp_path: Path
) -> None:
    worker()
    worker()
    queue.send("tests.slow", file=str(tmp_path / "log"), seconds=3 * VISIBILITY_SECONDS)
    wait_until(lambda: queue.depth(queue.url) == 0)
    assert _lines(tmp_path / "log") == ["start", "end"]


def test_job_of_killed_worker_runs_again(worker: Callable[..., Child], queue: Queue, tmp_path: Path) -> None:
    first = worker()
    queue.send("tests.slow", file=str(tmp_path / "log"), seconds=2)
    wait_until(lambda: _lines(tmp_path / "log") == ["start"])
    first.kill()
    worker()
    wait_until(lambda: queue.depth(queue.url) == 0)
    assert _lines(tmp_path / "log") == ["start", "start", "end"]


@pytest.mark.smoke
def test_sigterm_lets_running_jobs_finish(worker: Callable[..., Child], queue: Queue, tmp_path: Path) -> None:
    child = worker()
    queue.send("tests.slow", file=str(tmp_path / "log"), seconds=2 * VISIBILITY_SECONDS)
    wait_until(lambda: _lines(tmp_path / "log") == ["start"])
    child.terminate()
    assert child.wait() == 0
    assert _lines(tmp_path / "log") == ["start", "end"]
    assert queue.depth(queue.url) == 0


def test_failing_job_becomes_dead_letter(worker: Callable[..., Child], queue: Queue, tmp_path: Path) -> None:
    worker()
    queue.send("tests.fails", file=str(tmp_path / "log"))
    wait_until(lambda: queue.depth(queue.dead_url) == 1)
    assert _lines(tmp_path / "log") == ["start"] * MAX_RECEIVES


@pytest.mark.parametrize("job", [("tests.unknown", {}), ("tests.slow", {"wrong": 1})])
def test_unrunnable_jobs_become_dead_letters(
    worker: Callable[..., Child], queue: Queue, job: tuple[str, dict[str, object]]
) -> None:
    worker()
    queue.send(job[0], **job[1])
    wait_until(lambda: queue.depth(queue.dead_url) == 1)


def test_idle_worker_maintains_its_liveness_file(worker: Callable[..., Child], tmp_path: Path) -> None:
    child = worker()
    file = tmp_path / child.name
    wait_until(file.exists)
    child.terminate()
    child.wait()
    assert not file.exists()


def test_worker_with_hanging_loop_ends(worker: Callable[..., Child]) -> None:
    child = worker(TEST_BLOCK_LOOP="1")
    assert child.wait(PATIENCE_SECONDS) == 1
    assert child.said("worker_stalled")


HEALTHY = {"loop_age": 1.0, "receive_age": 5.0, "oldest_job_age": 0.0}


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({}, None),
        ({"loop_age": 16.0}, "event loop"),
        ({"receive_age": 46.0}, "SQS"),
        ({"receive_age": None, "oldest_job_age": 899.0}, None),
        ({"oldest_job_age": 901.0}, "job"),
        ({"loop_age": None, "receive_age": None}, None),
    ],
)
@pytest.mark.smoke
def test_signs_of_life_reveal_trouble(change: dict[str, float | None], trouble: str | None) -> None:
    found = Signs(**(HEALTHY | change)).trouble(Options())  # type: ignore[arg-type]
    assert found is None if trouble is None else trouble in str(found)


@pytest.mark.smoke
def test_passing_trouble_does_not_end_worker(tmp_path: Path) -> None:
    signs = iter([Signs(99, 5, 0), Signs(1, 5, 0)])
    watchdog = Watchdog(lambda: next(signs), Options(liveness_file=tmp_path / "alive"))
    assert [watchdog.look(), watchdog.look()] == [None, None]
    assert (tmp_path / "alive").exists()


def test_worker_ends_with_its_beat(beating: tuple[Child, psutil.Process]) -> None:
    worker, beat = beating
    beat.kill()
    assert worker.wait(PATIENCE_SECONDS) == 1
    assert worker.said("beat has ended")


def test_beat_ends_with_its_worker(beating: tuple[Child, psutil.Process]) -> None:
    worker, beat = beating
    worker.process.kill()
    gone, _ = psutil.wait_procs([beat], timeout=PATIENCE_SECONDS)
    assert gone == [beat]


# A worker that ends as soon as it has forked its beat, which only then begins.
ORPHANED = """
import os, signal, time
from botsite.sqs.watchdog import end_with
pid = os.getpid()
if os.fork() == 0:
    signal.alarm(40)
    while os.getppid() == pid:
        time.sleep(0.01)
    end_with(pid)
    signal.pause()
"""


def test_late_beat_of_dead_worker_ends() -> None:
    # Its output ends with the last process that holds it.
    subprocess.run([sys.executable, "-c", ORPHANED], stdout=subprocess.PIPE, check=True, timeout=PATIENCE_SECONDS)
