"""A worker on an emulated SQS stops receiving during an outage, and for a job that has to run alone."""

import signal
from pathlib import Path

import pytest

from ..options import Options
from .support.processes import PATIENCE_SECONDS, wait_until
from .support.worker import Aws, Worker, running_worker

pytestmark = pytest.mark.slow

WAITING = 30
SLOTS = 6


def begin_outage(worker: Worker, file: Path) -> None:
    """Make jobs fail, and wait until the worker pauses."""
    file.touch()
    for number in range(WAITING):
        worker.app.send_task("call_aws", (f"photo-{number}", str(file)))
    wait_until(lambda: "receiving_paused" in worker.output.read_text())


def test_outage_spares_waiting_messages(aws: Aws, tmp_path: Path) -> None:
    outage = tmp_path / "outage"
    with running_worker(aws, tmp_path, aws.url, worker_concurrency=SLOTS) as worker:
        begin_outage(worker, outage)
        wait_until(lambda: worker.output.read_text().count("receiving_paused") == 4)
        # Without pauses, 7 s of outage cost 50 receives or more; each pause but the first costs one.
        assert worker.notes.read_text().count("failed") <= SLOTS + Options().failures_before_pause + 3
        outage.unlink()
        wait_until(lambda: all(worker.runs(f"photo-{number}") == 1 for number in range(WAITING)))
        assert "receiving_resumed" in worker.output.read_text()
        wait_until(lambda: not aws.depth(worker.queue_url))


@pytest.mark.smoke
def test_paused_worker_stops_at_once(aws: Aws, tmp_path: Path) -> None:
    with running_worker(aws, tmp_path, aws.url, sqs={"first_pause_seconds": 600}) as worker:
        begin_outage(worker, tmp_path / "outage")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(PATIENCE_SECONDS) == 0


def test_lost_connection_leaves_nothing_held(aws: Aws, tmp_path: Path) -> None:
    with running_worker(aws, tmp_path, aws.url) as worker:
        worker.app.send_task("break_connection")
        wait_until(lambda: "Trying to re-establish the connection" in worker.output.read_text())
        worker.app.send_task("work_alone", (str(worker.notes),))
        wait_until(lambda: worker.runs("alone"))


def test_job_runs_alone_if_necessary(aws: Aws, tmp_path: Path) -> None:
    end = tmp_path / "end"
    with running_worker(aws, tmp_path, aws.url, worker_concurrency=SLOTS) as worker:
        worker.send("neighbour", until=tmp_path / "neighbour may end")
        wait_until(lambda: worker.runs("neighbour"))
        worker.app.send_task("work_alone", (str(end),))
        wait_until(lambda: aws.depth(worker.queue_url, "ApproximateNumberOfMessagesNotVisible") == 2)
        worker.send("on its way")
        (tmp_path / "neighbour may end").touch()
        wait_until(lambda: worker.runs("alone"))
        worker.send("later")
        end.touch()
        wait_until(lambda: worker.runs("on its way") and worker.runs("later"))
    notes = [line.split(maxsplit=1)[1] for line in worker.notes.read_text().splitlines()]
    assert notes.index("still 1") == notes.index("alone") + 1
