"""A worker shows on a port of its own whether it is well, and what it has done."""

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ..monitor import Monitor
from ..options import Options
from ..watchdog import Signs
from .support.processes import free_port, wait_until
from .support.worker import Aws, running_worker

LINE = re.compile(r'(celery_sqs_\w+)(?:\{queue="([^"]+)"\})? ([\d.e+-]+)')


def ask(port: int, path: str) -> tuple[int, str]:
    """Return the status and the body of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.slow
def test_worker_counts_for_prometheus(aws: Aws, tmp_path: Path) -> None:
    port = free_port()
    with running_worker(aws, tmp_path, aws.url, sqs={"monitor_port": port}) as worker:
        queue = worker.queue_url.rpartition("/")[2]
        wait_until(lambda: ask(port, "/healthz") == (200, "ok\n"))
        for _ in range(3):
            assert worker.works()
        wait_until(lambda: not aws.depth(worker.queue_url))

        def values() -> dict[tuple[str, str], float]:
            text = ask(port, "/metrics")[1]
            return {(name, queue): float(value) for name, queue, value in LINE.findall(text)}

        wait_until(lambda: values().get(("celery_sqs_deleted_total", queue)) == 3)
        assert values()["celery_sqs_received_total", queue] == 3
        assert values()["celery_sqs_in_work", ""] == 0
        assert values()["celery_sqs_paused", ""] == 0
        assert 0 <= values()["celery_sqs_last_receive_age_seconds", ""] < 45
        assert ask(port, "/")[0] == 404


def test_trouble_is_told_at_once() -> None:
    monitor = Monitor(lambda: Signs(loop_age=99, receive_age=1, oldest_job_age=0), Options())
    assert monitor.answer("/healthz") == (503, "the event loop has not turned for 99 s\n")


def test_every_line_is_of_the_format() -> None:
    monitor = Monitor(lambda: Signs(loop_age=1, receive_age=None, oldest_job_age=0), Options())
    lines = [line for line in monitor.answer("/metrics")[1].splitlines() if "celery_sqs" in line]
    assert lines
    known = re.compile(rf"# (HELP|TYPE) celery_sqs_\w+ .+|{LINE.pattern}")
    assert [line for line in lines if not known.fullmatch(line)] == []
    assert not any("last_receive_age" in line for line in lines)
