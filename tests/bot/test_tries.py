"""What gives a photo up are real tries: its own failures and the deaths of its workers, not the outages of AWS."""

from collections.abc import Callable
from io import BytesIO
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.model import large_files, yolo
from detection.record import images, predictions
from detection.record.schemas import Prediction, Status
from detection.record.sentences import Code
from detection.work import process, tasks
from tests.support.detectors import Seeing
from tests.support.faulty import FaultySite, failing, through
from tests.support.processes import wait_until


@pytest.fixture
def queued(user: TelegramUser, photo: bytes) -> Prediction:
    """Return a prediction whose photo and item are stored, and whose job nobody has sent."""
    identity = uuid4().hex
    prediction = Prediction(identity, user.chat_id, user.send_text("hello"), f"photos/{identity}")
    images.put(prediction.image_key, photo, "image/jpeg")
    assert predictions.create(prediction).granted
    return prediction


@pytest.fixture
def png() -> bytes:
    """Return an image that is no JPEG, so that the decoder has to open it."""
    file = BytesIO()
    Image.new("RGB", (64, 48)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def model(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Return a function that loads a model which looks at photos in this way."""

    def load(look: Callable[..., Any]) -> None:
        loaded = Seeing(look).model
        monkeypatch.setattr(yolo, "load", lambda: loaded)

    return load


def _run(prediction: Prediction, job: str = "job-1") -> Prediction | None:
    arguments = {"prediction_id": prediction.prediction_id, "image_key": "", "chat_id": prediction.chat_id}
    tasks.detect.apply(kwargs=arguments, task_id=job, throw=True)
    return predictions.find(prediction.prediction_id)


def _trips(image: Any, least: float) -> Any:
    raise ZeroDivisionError("a photo that nobody thought of")


def test_photo_failing_twice_alike_is_given_up(queued: Prediction, model: Callable[..., None]) -> None:
    model(_trips)
    with pytest.raises(ZeroDivisionError):
        _run(queued)
    found = _run(queued)
    assert found is not None
    assert (found.status, found.error, found.tries) == (Status.FAILED, Code.OWN_FAILURE.value, 2)


def test_photo_failing_once_is_answered(queued: Prediction, model: Callable[..., None]) -> None:
    model(_trips)
    with pytest.raises(ZeroDivisionError):
        _run(queued)
    model(lambda image, least: [])
    found = _run(queued)
    assert found is not None
    assert (found.status, found.tries) == (Status.SUCCEEDED, 2)


def test_strange_file_returns_to_queue_if_others_wait(
    queued: Prediction, model: Callable[..., None], png: bytes
) -> None:
    model(lambda image, least: [])
    images.put(queued.image_key, png, "image/png")
    leave = Event()

    def decode(chat_id: int) -> None:
        with large_files.DECODER.lent(1, chat_id):
            leave.wait()

    # None of them has been there before.
    chats = range(queued.chat_id + 900_000, queued.chat_id + 900_000 + 1 + large_files.WAITING_AT_MOST)
    threads = [Thread(target=decode, args=(chat_id,)) for chat_id in chats]
    for thread in threads:
        thread.start()
    wait_until(lambda: large_files.DECODER.waiting == large_files.WAITING_AT_MOST)
    for _ in range(2 * tasks.TRIES_AT_MOST):
        waiting = _run(queued)
        assert waiting is not None
        assert (waiting.status, waiting.tries) == (Status.QUEUED, 0)
    leave.set()
    for thread in threads:
        thread.join()
    found = _run(queued)
    assert found is not None
    assert (found.status, found.tries) == (Status.SUCCEEDED, 1)


@pytest.mark.slow
def test_outage_does_not_count_as_try(queued: Prediction, model: Callable[..., None], site: FaultySite) -> None:
    model(lambda image, least: [])
    for _ in range(2 * tasks.TRIES_AT_MOST):
        site.break_(failing("s3", "GetObject", "internal error"))
        with through(site), pytest.raises(ClientError):
            _run(queued)
    site.repair()
    found = _run(queued)
    assert found is not None
    assert (found.status, found.tries) == (Status.SUCCEEDED, 1)


def test_photo_killing_its_workers_is_given_up(queued: Prediction, model: Callable[..., None]) -> None:
    model(lambda image, least: [])
    held = predictions.claim(queued.prediction_id, "job-1").prediction
    for _ in range(tasks.TRIES_AT_MOST - 1):
        assert held is not None
        held = predictions.take_over(held, "job-1").prediction
    found = _run(queued)
    assert found is not None
    assert (found.status, found.error) == (Status.FAILED, Code.GIVEN_UP.value)


def test_photo_of_dead_worker_runs_alone(queued: Prediction, model: Callable[..., None]) -> None:
    model(lambda image, least: [])
    predictions.claim(queued.prediction_id, "job-1")
    with process.JOBS.shared():
        running = Thread(target=_run, args=(queued,))
        running.start()
        wait_until(lambda: process.JOBS.alone_or_waiting == 1)
        found = predictions.find(queued.prediction_id)
        assert found is not None
        assert found.attempts == 1
    running.join()
    found = predictions.find(queued.prediction_id)
    assert found is not None
    assert found.status is Status.SUCCEEDED


def test_photo_deleted_during_its_job_leaves_no_picture(queued: Prediction, model: Callable[..., None]) -> None:
    looking, go_on = Event(), Event()

    def look(image: Any, least: float) -> list[Any]:
        looking.set()
        go_on.wait()
        return []

    model(look)
    running = Thread(target=_run, args=(queued,))
    running.start()
    looking.wait()
    predictions.delete(queued.prediction_id)
    go_on.set()
    running.join()
    assert not images.exists(queued.result_key)


def test_job_of_deleted_photo_removes_leftover_picture(queued: Prediction, model: Callable[..., None]) -> None:
    images.put(queued.result_key, b"boxed", "image/jpeg")
    predictions.delete(queued.prediction_id)
    assert _run(queued) is None
    assert not images.exists(queued.result_key)


@pytest.mark.parametrize("identity", [None, "", [1], "\ud800", "x" * 3000])
def test_impossible_id_is_no_outage(stack: LocalStack, identity: Any) -> None:
    with pytest.raises(ValueError, match="cannot be the id of a prediction"):
        tasks.detect.apply(kwargs={"prediction_id": identity, "image_key": "", "chat_id": 1}, throw=True)
