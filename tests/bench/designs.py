"""The designs that are compared, how each is started and given its jobs, and the latencies under which it works."""

import json
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from detection.record import predictions
from detection.record.schemas import Prediction

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

    `message` makes a job the body of a message; a design without takes no jobs, its command says how fast it was.
    """

    name: str
    command: tuple[str, ...]
    message: Callable[[Job], str] | None = None
    prepare: Callable[[Job], None] = lambda job: None
    share: Mapping[str, float] = field(default_factory=lambda: {"emulator": 1, "region": 1})
    env: Mapping[str, str] = field(default_factory=dict)


def _plain(job: Job) -> str:
    return json.dumps(job)


def _celery(task: str, queue: str) -> Callable[[Job], str]:
    """Return what makes a job Celery's message (protocol 2) for `task`, as any producer may write it."""

    def message(job: Job) -> str:
        content = {
            "body": json.dumps([[], job, {}]),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"task": task, "id": str(uuid.uuid4())},
            "properties": {"delivery_info": {"exchange": "", "routing_key": queue}},
        }
        return json.dumps(content)

    return message


def _item(job: Job) -> None:
    predictions.create(Prediction(**job, message_id=1))


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


_CELERY = _program("celery")
# The plain command, but for the module that adds latencies and counts receives.
_WORKER = (_CELERY, "-A", "botsite", "worker", "-Q", "jobs", "-I", "tests.bench.latency")
_DEFAULTS = (_CELERY, "-A", "tests.bench.defaults", "worker")
# Without Django, which Celery would otherwise set up.
_PLAIN = {"DJANGO_SETTINGS_MODULE": ""}
_ONE = (*_DEFAULTS, "--concurrency", "1", "--prefetch-multiplier", "1")
_LOOP = (sys.executable, "-m", "tests.bench.loop")
_OURS = Design("worker", _WORKER, _celery("detection.detect", "jobs"), _item)
DESIGNS = {
    design.name: design
    for design in (
        Design("bare", (sys.executable, "-m", "tests.bench.bare")),
        _OURS,
        Design("loop", _LOOP, _plain, share={"emulator": 0.5, "region": 0.1}),
        Design("defaults", _DEFAULTS, _celery("detect", "celery"), share={"emulator": 0.2, "region": 0.2}, env=_PLAIN),
        Design("defaults-1", _ONE, _celery("detect", "celery"), share={"emulator": 0.05, "region": 0.05}, env=_PLAIN),
    )
}


def variant(name: str, slots: str | None, env: Mapping[str, str]) -> Design:
    """Return our worker with another number of slots and other variables in its environment."""
    return replace(_OURS, name=name, command=_WORKER + (("-c", slots) if slots else ()), env=env)


def with_square(design: Design, weights: str) -> list[Design]:
    """Return the design with these weights instead; of our worker both."""
    square = {**design.env, "YOLO_WEIGHTS": weights}
    if design is _OURS:
        return [design, replace(design, name="worker-square", env=square)]
    return [replace(design, env=square)]
