"""The designs that are compared, how each is started and given its jobs, and the latencies under which it works."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from botsite import aws
from detection import predictions, tasks
from detection.schemas import Prediction

Job = dict[str, Any]  # prediction_id, image_key, chat_id


@dataclass(frozen=True)
class Setting:
    """What is added to the emulator's own latency: to each request of an AWS service, and to the callback."""

    name: str
    sentence: str
    latency_ms: Mapping[str, float]
    callback_ms: float


SETTINGS = {
    "emulator": Setting("emulator", "the local AWS as it is.", {}, 0),
    "region": Setting(
        "region",
        "with S3 25 ms, DynamoDB 6 ms, SQS 8 ms and callback 200 ms added.",
        {"s3": 25, "dynamodb": 6, "sqs": 8},
        200,
    ),
}


@dataclass(frozen=True)
class Design:
    """A way to do the work. `share` is the part of all jobs that it gets, by setting: slow designs get fewer.

    A design without `send` takes no jobs: its command says itself how fast it was.
    """

    name: str
    command: tuple[str, ...]
    send: Callable[[Job], None] | None = None
    share: Mapping[str, float] = field(default_factory=lambda: {"emulator": 1, "region": 1})
    env: Mapping[str, str] = field(default_factory=dict)


def _send_to_loop(job: Job) -> None:
    aws.client("sqs").send_message(QueueUrl=settings.JOBS_QUEUE_URL, MessageBody=json.dumps(job))


def _send_to_defaults(job: Job) -> None:
    # Imported late: this module reads the queue's address, which is known once there is an emulator.
    from . import defaults

    defaults.detect.delay(job)


def _send_to_worker(job: Job) -> None:
    """Do what the site does, except for the photo, which is in the bucket already."""
    predictions.create(Prediction(**job, message_id=1))
    tasks.detect.apply_async(kwargs=job)


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


_CELERY = _program("celery")
# The plain command, but for the module that adds latencies and counts receives.
_WORKER = (_CELERY, "-A", "botsite", "worker", "-Q", "jobs", "-I", "tests.bench.latency")
_DEFAULTS = (_CELERY, "-A", "tests.bench.defaults", "worker")
DESIGNS = {
    design.name: design
    for design in (
        Design("bare", (sys.executable, "-m", "tests.bench.bare")),
        Design("worker", _WORKER, _send_to_worker),
        Design("loop", (sys.executable, "-m", "tests.bench.loop"), _send_to_loop, {"emulator": 0.5, "region": 0.1}),
        Design("defaults", _DEFAULTS, _send_to_defaults, {"emulator": 0.1, "region": 0.1}),
    )
}


def variant(name: str, slots: str | None, env: Mapping[str, str]) -> Design:
    """Return our worker with another number of slots and other variables in its environment."""
    return Design(name, _WORKER + (("-c", slots) if slots else ()), _send_to_worker, env=env)
