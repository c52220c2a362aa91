"""Slow files of others keep nobody waiting for long, and nothing is given up because others were first."""

from collections.abc import Iterator
from io import BytesIO
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from PIL import Image

from botsite import celery
from deploy.local.processes import Child
from deploy.local.stack import LocalStack, script
from detection.record import images, predictions, queries
from detection.record.schemas import Prediction, Status
from detection.work import jobs
from tests.support.jobs_queue import MAX_RECEIVES, Queue
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow(quick="tests/bot/test_calls.py")

_chats = count(77_000_000)
_SLOW_CHATS, _SLOW_FILES = 5, 8


@pytest.fixture
def queue(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """Return a queue whose jobs are dead letters after few receives; this process sends its jobs there."""
    queue = Queue()
    monkeypatch.setattr(settings, "JOBS_QUEUE_URL", queue.url)
    celery.reconfigure()
    yield queue
    monkeypatch.undo()
    celery.reconfigure()


@pytest.fixture
def worker(stack: LocalStack, queue: Queue, tmp_path: Path) -> Iterator[Child]:
    command = [script("celery"), "-A", "botsite", "worker", "-Q", "jobs", "-I", "tests.support.hurried_worker"]
    ours = {"JOBS_QUEUE_URL": queue.url, "LIVENESS_FILE": str(tmp_path / "alive")}
    child = stack.children.start("crowded", command, stack.env | ours)
    yield child
    child.kill()


def png(width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def send(chat_id: int, image_key: str) -> str:
    """Queue the job of a stored file; return its id."""
    identity = uuid4().hex
    assert jobs.submit_stored(Prediction(identity, chat_id, 1, image_key)).granted
    return identity


def test_lone_file_gets_result_next_to_many_slow_ones(queue: Queue, worker: Child) -> None:
    for name, file in (("slow", png(8000, 6000)), ("small", png(64, 48))):
        images.put(f"photos/{name}", file, "image/png")
    chats = [next(_chats) for _ in range(_SLOW_CHATS)]
    others = [send(chat_id, "photos/slow") for _ in range(_SLOW_FILES) for chat_id in chats]
    # Some have been put off more often than a message may be received.
    wait_until(lambda: any(each.attempts > MAX_RECEIVES for each in queries.known(others).values()))
    identity = send(next(_chats), "photos/small")

    def status() -> Status | None:
        prediction = predictions.find(identity)
        return prediction.status if prediction and prediction.finished else None

    assert wait_until(status) is Status.SUCCEEDED
    left = [each for each in queries.known(others, consistent=True).values() if not each.finished]
    assert len(left) > len(chats)
    assert queue.depth(queue.dead_url) == 0
    worker.kill()
    for prediction_id in others:
        predictions.delete(prediction_id)
