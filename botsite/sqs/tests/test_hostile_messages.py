"""Malformed messages end as dead letters: none of them stops the worker or occupies a slot."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .support.processes import wait_until
from .support.worker import Aws, Worker, job, running_worker

pytestmark = pytest.mark.slow

SLOTS = 2
DEEP = "[" * 100_000 + "]" * 100_000
HUGE = "9" * 5_000
TOMORROW = "2999-01-01T00:00:00+00:00"
ENVELOPE = job("text")


def with_headers(**headers: Any) -> str:
    """Return a job with odd headers."""
    return json.dumps(ENVELOPE | {"headers": ENVELOPE["headers"] | headers})


def with_body(body: str) -> str:
    """Return a job with odd arguments."""
    return json.dumps(ENVELOPE | {"body": body})


def with_properties(**properties: Any) -> str:
    """Return a job with odd properties."""
    return json.dumps(ENVELOPE | {"properties": ENVELOPE["properties"] | properties})


HOSTILE = {
    "no JSON": "certainly not JSON",
    "not base64 either": "////",
    "no envelope": '{"image_key": "photos/1"}',
    "no object": '"text"',
    "a list": "[]",
    "a number": "5",
    "nested deeply": DEEP,
    "a huge number": HUGE,
    "odd properties": json.dumps(ENVELOPE | {"properties": 5}),
    "odd headers": json.dumps(ENVELOPE | {"headers": [1]}),
    "no headers": json.dumps(ENVELOPE | {"headers": None}),
    "odd delivery info": with_properties(delivery_info=5),
    "unknown encoding": with_properties(body_encoding="odd"),
    "unknown compression": with_headers(compression="odd"),
    "unknown task": with_headers(task="unheard.of"),
    "unknown task without id": json.dumps(ENVELOPE | {"headers": {"task": "unheard.of"}}),
    "task that is a list": with_headers(task=["note"]),
    "task that is nothing": with_headers(task=None),
    "task of Celery's own": with_headers(task="celery.chord_unlock"),
    "id that is a list": with_headers(id=[1]),
    "refused content type": json.dumps(ENVELOPE | {"content-type": "application/x-python-serialize"}),
    "content type that is a list": json.dumps(ENVELOPE | {"content-type": ["application/json"]}),
    "arguments that are no JSON": with_body("not JSON"),
    "arguments nested deeply": with_body(DEEP),
    "arguments with a huge number": with_body(f"[[{HUGE}], {{}}, {{}}]"),
    "too few arguments": with_body("[[], {}, {}]"),
    "odd arguments": with_body('[5, "text", {}]'),
    "odd keyword arguments": with_body('[["text"], [1], {}]'),
    "two parts": with_body("[[], {}]"),
    "no parts": with_body("{}"),
    "odd options": with_body('[["text"], {}, 5]'),
    "ETA tomorrow": with_headers(eta=TOMORROW),
    "ETA beyond time": with_headers(eta="9999-12-31T23:59:59.999999-12:00"),
    "ETA that is a number": with_headers(eta=10**20),
    "ETA that is no time": with_headers(eta="soon"),
    "ETA of the old protocol": json.dumps(
        ENVELOPE | {"headers": {}, "body": json.dumps({"task": "note", "id": "1", "args": ["text"], "eta": TOMORROW})}
    ),
    "expires at no time": with_headers(expires="never"),
    "expires as a number": with_headers(expires=10**20),
    "expires as a list": with_headers(expires=[1]),
    "odd time limits": with_headers(timelimit=5),
    "three time limits": with_headers(timelimit=[1, 2, 3]),
}

ODD = [
    with_properties(delivery_info={"routing_key": ["jobs"]}),
    with_properties(priority=[1]),
    with_properties(reply_to=[1], correlation_id={}),
    with_headers(retries="many"),
    with_headers(eta="1970-01-01T00:00:00"),
    with_headers(expires=TOMORROW),
]


@pytest.fixture
def worker(aws: Aws, tmp_path: Path) -> Iterator[Worker]:
    with running_worker(aws, tmp_path, aws.url, worker_concurrency=SLOTS) as worker:
        yield worker


def test_hostile_messages_become_dead_letters(aws: Aws, worker: Worker, tmp_path: Path) -> None:
    dead_letters = aws.dead_letters_of(worker.queue_url)
    for body in HOSTILE.values():
        aws.client.send_message(QueueUrl=worker.queue_url, MessageBody=body)
    assert worker.works()
    wait_until(lambda: aws.depth(dead_letters) == len(HOSTILE))
    assert not aws.depth(worker.queue_url)

    for number in range(SLOTS + 1):
        worker.send(f"slot-{number}", until=tmp_path / "end")
    wait_until(lambda: worker.notes.read_text().count("slot-") == SLOTS)
    assert aws.depth(worker.queue_url, "ApproximateNumberOfMessages") == 1


@pytest.mark.smoke
def test_messages_with_odd_details_are_run(aws: Aws, worker: Worker) -> None:
    for body in ODD:
        aws.client.send_message(QueueUrl=worker.queue_url, MessageBody=body)
    wait_until(lambda: worker.runs("text") == len(ODD))
    wait_until(lambda: not aws.depth(worker.queue_url))
