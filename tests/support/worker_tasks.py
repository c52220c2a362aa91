"""Tasks and shorter times for the workers of test_worker_life.py, which include this module (`-I`)."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from botsite import celery, standby
from detection.work import termination

_options = celery.app.conf.broker_transport_options
# A worker that ends waits for its long poll.
_options["wait_time_seconds"] = 1
_options["sqs"] = replace(
    _options["sqs"],
    first_retry_seconds=1,
    longest_retry_seconds=1,
    # Far longer than a busy machine makes a healthy loop wait.
    loop_seconds=10.0,
    stalled_seconds=5.0,
)
termination._LOOK_SECONDS = 0.2
standby._SAY_SECONDS = standby._LOOK_SECONDS = 0.2


@shared_task(name="tests.slow")
def slow(file: str, seconds: float) -> None:
    """Note the start and, some seconds later, the end."""
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
    """Make the event loop hang if the test asks for it."""
    if os.environ.get("TEST_BLOCK_LOOP"):
        sender.hub.call_later(0.5, time.sleep, 600)
