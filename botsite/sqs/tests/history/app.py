"""The workers' app: tasks that take long, fail, retry or are due later, and note what they do."""

import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from ... import Options, receives
from ..support.app import make_app
from . import mutants
from .events import Journal

WAIT_SECONDS = 2  # of a long poll
JUMPS = (15.0, -15.0, 0.0)  # What a worker's clock is wrong by, after each jump.


def history_app(queue_url: str, longest_delay: int = 900) -> Celery:
    """Return the app of workers and sender."""
    app = make_app(queue_url, Options(longest_delay_seconds=longest_delay))
    app.conf.broker_transport_options["wait_time_seconds"] = WAIT_SECONDS
    return app


def add_task(app: Celery, journal: Journal, name: str) -> None:
    """Give the app its one task."""

    @app.task(name="work", bind=True, shared=False)
    def work(self: Any, seconds: float, trouble: str) -> None:
        """Take so long; fail on the first receive, or retry once."""
        handle = self.request.properties["delivery_info"]["sqs_message"]["ReceiptHandle"]
        run = {"who": name, "key": self.request.id, "handle": handle}
        journal.note("started", clock=time.time(), **run)
        time.sleep(seconds)
        if trouble == "fails" and receives(self.request) == 1:
            journal.note("failed", **run)
            raise ValueError("as it was told to")
        if trouble == "retries" and not self.request.retries:
            journal.note("retried", **run)
            raise self.retry(countdown=2)
        journal.note("ended", **run)


def let_clock_jump() -> None:
    """Have each SIGUSR2 change what this process takes for the time of day."""
    wrong, jumps, right = [0.0], itertools.cycle(JUMPS), time.time
    time.time = lambda: right() + wrong[0]
    signal.signal(signal.SIGUSR2, lambda *_: wrong.insert(0, next(jumps)))


if "HISTORY" in os.environ:  # A worker: `celery -A <this module>`.
    told: dict[str, Any] = json.loads(os.environ["HISTORY"])
    app = history_app(told["queue_url"], told["longest_delay"])
    journal = Journal(Path(told["journal"]))
    add_task(app, journal, told["name"])
    mutants.apply(told["mutant"], app)

    @worker_ready.connect
    def say_so(**_: Any) -> None:
        """Note that the worker has started."""
        let_clock_jump()
        journal.note("ready", who=told["name"])
