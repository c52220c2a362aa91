"""A worker with Celery's prefork pool: its children are forked next to the threads that talk to SQS, and may die."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ..options import Options
from .support.processes import PATIENCE_SECONDS, wait_until
from .support.worker import Aws, Worker, running_worker

pytestmark = pytest.mark.slow

LONG_SECONDS = 600  # A message that comes back within a test has been given back.


def prefork_worker(aws: Aws, folder: Path, visibility: int = LONG_SECONDS, **options: Any) -> Any:
    """Start a worker whose messages are hidden for long."""
    queue_url = aws.queue(VisibilityTimeout=str(visibility))
    return running_worker(aws, folder, aws.url, queues=queue_url, worker_pool="prefork", **options)


def pids(worker: Worker, text: str) -> list[int]:
    """Return the processes in which a job has run, or still does."""
    lines = (line.partition(" ") for line in worker.notes.read_text().splitlines())
    return [int(pid) for pid, _, job in lines if job == text]


@pytest.mark.smoke
def test_jobs_run_once_in_children(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path) as worker:
        for number in range(30):
            worker.send(f"job-{number}")
        wait_until(lambda: all(pids(worker, f"job-{number}") for number in range(30)))
        wait_until(lambda: not aws.depth(worker.queue_url))
        ran = [pids(worker, f"job-{number}") for number in range(30)]
        assert {len(one) for one in ran} == {1}
        assert [worker.process.pid] not in ran
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(PATIENCE_SECONDS) == 0


def test_child_for_each_job_inherits_no_lock(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path, worker_max_tasks_per_child=1) as worker:
        for number in range(100):
            worker.app.send_task("send_another", (f"job-{number}", "/no/outage"))
        wait_until(lambda: all(pids(worker, f"job-{number}") for number in range(100)))
        wait_until(lambda: not aws.depth(worker.queue_url))
        ran = [pid for number in range(100) for pid in pids(worker, f"job-{number}")]
        assert len(ran) == len({*ran}) == 100


def test_message_of_killed_child_runs_again_at_once(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path) as worker:
        worker.send("killed", until=tmp_path / "end")
        wait_until(lambda: pids(worker, "killed"))
        os.kill(pids(worker, "killed")[0], signal.SIGKILL)
        wait_until(lambda: len(pids(worker, "killed")) == 2)
        (tmp_path / "end").touch()
        wait_until(lambda: not aws.depth(worker.queue_url))
        assert len(pids(worker, "killed")) == 2


def test_hard_time_limit_gives_the_message_back(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path, task_time_limit=4) as worker:
        worker.send("long", until=tmp_path / "end")
        wait_until(lambda: len(pids(worker, "long")) == 2)
        first, second = pids(worker, "long")
        assert first != second


def test_outage_is_seen_across_children(aws: Aws, tmp_path: Path) -> None:
    outage, slots, waiting = tmp_path / "outage", 6, 30
    outage.touch()
    with prefork_worker(aws, tmp_path, worker_concurrency=slots) as worker:
        for number in range(waiting):
            worker.app.send_task("call_aws", (f"photo-{number}", str(outage)))
        wait_until(lambda: worker.output.read_text().count("receiving_paused") == 4)
        assert worker.notes.read_text().count("failed") <= slots + Options().failures_before_pause + 3
        outage.unlink()
        wait_until(lambda: all(pids(worker, f"photo-{number}") for number in range(waiting)))
        assert "receiving_resumed" in worker.output.read_text()
        wait_until(lambda: not aws.depth(worker.queue_url))


def test_sigterm_lets_children_finish(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path, worker_concurrency=2) as worker:
        for number in range(6):
            worker.send(f"job-{number}", until=tmp_path / "end")
        wait_until(lambda: sum(bool(pids(worker, f"job-{number}")) for number in range(6)) == 2)
        worker.process.send_signal(signal.SIGTERM)
        (tmp_path / "end").touch()
        assert worker.process.wait(PATIENCE_SECONDS) == 0
        ran = sum(len(pids(worker, f"job-{number}")) for number in range(6))
        assert aws.depth(worker.queue_url, "ApproximateNumberOfMessages") == 6 - ran
        assert aws.depth(worker.queue_url) == 6 - ran


def test_children_end_with_their_worker(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path) as worker:
        worker.send("orphan", until=tmp_path / "end")
        wait_until(lambda: pids(worker, "orphan"))
        worker.process.kill()
        (child,) = pids(worker, "orphan")
        wait_until(lambda: not Path(f"/proc/{child}").exists() or _is_over(child))


def _is_over(pid: int) -> bool:
    """Return whether a process has ended that nobody has waited for."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_child_that_would_stop_receiving_is_told_so(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path) as worker:
        worker.app.send_task("work_alone", (str(tmp_path / "end"),))
        wait_until(lambda: "that takes the threads pool" in worker.output.read_text())


def test_long_job_stays_hidden(aws: Aws, tmp_path: Path) -> None:
    with prefork_worker(aws, tmp_path, visibility=2) as worker:
        worker.send("long", until=tmp_path / "end")
        wait_until(lambda: pids(worker, "long"))
        # A later job runs and is over meanwhile, with a second visibility timeout.
        for number in range(3):
            worker.app.send_task("note_time", (f"later-{number}",), countdown=2)
            wait_until(lambda number=number: f"later-{number} at" in worker.notes.read_text())  # type: ignore[misc]
        (tmp_path / "end").touch()
        wait_until(lambda: not aws.depth(worker.queue_url))
        assert len(pids(worker, "long")) == 1
