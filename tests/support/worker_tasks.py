"""Tasks and a shortened patience for the workers of test_worker_life.py, who include this module (`-I`)."""

import os
import time
from pathlib import Path
from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from botsite.celery import app
from botsite.sqs import transport, watchdog
from detection import termination

transport.FIRST_RETRY_SECONDS = transport.LONGEST_RETRY_SECONDS = 1
# A worker that ends waits for its long poll.
app.conf.broker_transport_options["wait_time_seconds"] = 1
# Far beyond what a busy machine makes a healthy loop wait.
watchdog.LOOP_SECONDS, watchdog.STALLED_SECONDS = 10.0, 5.0
watchdog._LOOK_SECONDS = termination._LOOK_SECONDS = 0.2


@shared_task(name="tests.slow")
def slow(file: str, seconds: float) -> None:
    """Note the start and, after a while, the end."""
    with Path(file).open("a") as log:
        log.write("start\n")
    time.sleep(seconds)
    with Path(file).open("a") as log:
        log.write("end\n")


@shared_task(name="tests.fails")
def fails(file: str) -> None:
    """Note the start and raise."""
    with Path(file).open("a") as log:
        log.write("start\n")
    raise ConnectionError("not today")


@worker_ready.connect
def block_the_loop(sender: Any, **_: Any) -> None:
    """Let the event loop hang if the test wants to see what happens then."""
    if os.environ.get("TEST_BLOCK_LOOP"):
        sender.hub.call_later(0.5, time.sleep, 600)
