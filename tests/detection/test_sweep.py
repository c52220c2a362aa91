"""What a crash or a lost message left half done is found by index and finished."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import deliveries, images, predictions, queries, reasons, times
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code
from detection.work import sweep, task_lease, tasks
from tests.support import turn
from tests.support.processes import wait_until

NOW = timedelta(seconds=-1)
LONG_AGO = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def queued(user: TelegramUser, photo: bytes) -> Prediction:
    """Return a prediction whose photo and item are stored, and whose site died before it sent the job."""
    identity = uuid4().hex
    prediction = Prediction(identity, user.chat_id, user.send_text("hello"), f"photos/{identity}")
    images.put(prediction.image_key, photo, "image/jpeg")
    predictions.create(prediction)
    return prediction


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a second for a minute: what is left lying is found at once."""
    for name in ("UNDELIVERED", "WITHOUT_JOB", "STUCK", "JOB_LOST"):
        monkeypatch.setattr(sweep, name, NOW)


def sweep_once() -> None:
    """Sweep; the service's own metric worker may have its turn just now."""
    wait_until(sweep.sweep)


def _set(prediction: Prediction, attribute: str, value: str | int) -> None:
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": prediction.prediction_id},
        UpdateExpression="SET #attribute = :value",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":value": value},
    )


@contextmanager
def _before_write(update: str, act: Callable[[], object]) -> Iterator[None]:
    """Act once, right before a write with this expression leaves for DynamoDB."""
    acts = [act]

    def on_write(params: dict[str, Any], **_: Any) -> None:
        if update in params["UpdateExpression"] and acts:
            acts.pop()()

    event = "provide-client-params.dynamodb.UpdateItem"
    aws.dynamodb().meta.events.register(event, on_write, unique_id="on-write")
    yield
    aws.dynamodb().meta.events.unregister(event, unique_id="on-write")


def _reaches(prediction: Prediction, delivery: Delivery) -> Prediction:
    def there() -> Prediction | None:
        found = predictions.find(prediction.prediction_id)
        return found if found and found.delivery is delivery else None

    found = wait_until(there)
    assert found is not None
    return found


def test_photo_without_job_is_answered(queued: Prediction, user: TelegramUser) -> None:
    sweep_once()
    assert _reaches(queued, Delivery.DELIVERED).status is Status.SUCCEEDED


def test_answer_without_callback_is_delivered(queued: Prediction, user: TelegramUser) -> None:
    claimed = predictions.claim(queued.prediction_id, "gone").prediction
    assert claimed is not None
    predictions.succeed(claimed, [], "yolo", 1)
    sweep_once()
    _reaches(queued, Delivery.DELIVERED)


def test_dead_sender_is_replaced(queued: Prediction, user: TelegramUser, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions.fail(queued.prediction_id, reasons.of("sorry"))
    monkeypatch.setattr(deliveries, "LEASE", NOW)
    deliveries.claim(queued.prediction_id)
    sweep_once()
    _reaches(queued, Delivery.DELIVERED)
    assert [message.text for message in user.messages()].count("sorry") == 1


@pytest.mark.slow
def test_lost_job_is_taken_over(queued: Prediction) -> None:
    predictions.claim(queued.prediction_id, "gone")
    _set(queued, "started_at", LONG_AGO)
    sweep_once()
    assert _reaches(queued, Delivery.DELIVERED).attempts == 2


def test_photo_tried_too_often_is_given_up(queued: Prediction, user: TelegramUser) -> None:
    predictions.claim(queued.prediction_id, "gone")
    _set(queued, "tries", tasks.TRIES_AT_MOST)
    sweep_once()
    assert _reaches(queued, Delivery.DELIVERED).error == Code.GIVEN_UP.value
    assert [message.text for message in user.messages()].count(Code.GIVEN_UP.value) == 1


@pytest.mark.slow
def test_attempts_failed_by_aws_give_nothing_up(queued: Prediction) -> None:
    for _ in range(tasks.TRIES_AT_MOST + 1):
        claimed = predictions.claim(queued.prediction_id, "same").prediction
        assert claimed is not None
        predictions.give_back(claimed)
    predictions.claim(queued.prediction_id, "same")
    _set(queued, "started_at", LONG_AGO)
    sweep_once()
    assert _reaches(queued, Delivery.DELIVERED).status is Status.SUCCEEDED


def test_sweep_fails_only_observed_attempt(queued: Prediction) -> None:
    """A worker claims the photo again just before the sweep's write arrives."""
    claimed = predictions.claim(queued.prediction_id, "same").prediction
    assert claimed is not None
    _set(queued, "tries", tasks.TRIES_AT_MOST)
    with _before_write("SET #status = :failed", lambda: predictions.take_over(claimed, "same")):
        sweep_once()
    found = predictions.find(queued.prediction_id)
    assert found is not None
    assert (found.status, found.attempts) == (Status.PROCESSING, 2)
    predictions.delete(queued.prediction_id)


def test_second_sweep_changes_nothing(queued: Prediction, user: TelegramUser) -> None:
    for _ in range(3):
        sweep_once()
    _reaches(queued, Delivery.DELIVERED)
    sweep_once()
    assert len([message for message in user.messages() if message.from_bot and message.photo]) <= 1


def test_incomplete_items_hold_nothing_up(queued: Prediction, stack: LocalStack) -> None:
    times = {"created_at": LONG_AGO, "finished_at": LONG_AGO}
    states = [("queued", "pending"), ("succeeded", "pending"), ("processing", "delivering")]
    broken = [{"prediction_id": uuid4().hex, "status": one, "delivery": other} | times for one, other in states]
    broken += [{"prediction_id": uuid4().hex, "delivery": "pending"} | times]
    for item in broken:
        aws.dynamodb().put_item(TableName=stack.env["PREDICTIONS_TABLE"], Item=item)
    sweep_once()
    _reaches(queued, Delivery.DELIVERED)
    for item in broken:
        predictions.delete(item["prediction_id"])


def test_job_lost_after_reopening_is_sent_again(queued: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions.mark_enqueued(queued.prediction_id, times.now())
    predictions.fail(queued.prediction_id, reasons.of("sorry"))
    predictions.reopen(queued.prediction_id)
    monkeypatch.setattr(sweep, "JOB_LOST", timedelta(hours=1))
    sweep_once()
    assert _reaches(queued, Delivery.DELIVERED).status is Status.SUCCEEDED


def test_photo_just_reopened_is_left_alone(queued: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(queued, "created_at", LONG_AGO)
    predictions.fail(queued.prediction_id, reasons.of("sorry"))
    predictions.reopen(queued.prediction_id)
    monkeypatch.setattr(sweep, "WITHOUT_JOB", timedelta(seconds=60))
    sweep_once()
    found = predictions.find(queued.prediction_id)
    assert found is not None
    assert found.enqueued_at is None
    predictions.delete(queued.prediction_id)


def test_postponed_answer_is_left_alone(queued: Prediction) -> None:
    predictions.fail(queued.prediction_id, reasons.of("sorry"))
    _set(queued, "delivery_until", times.text(times.now(timedelta(hours=1))))
    assert queued.prediction_id not in dict(queries.unanswered(times.now(-NOW)))
    _set(queued, "delivery_until", LONG_AGO)
    assert queued.prediction_id in dict(queries.unanswered(times.now(-NOW)))
    predictions.delete(queued.prediction_id)


def test_one_sweep_runs_at_a_time(stack: LocalStack) -> None:
    with turn.held("sweep"):
        assert not sweep.sweep()
    sweep_once()


def test_expired_turn_is_taken(stack: LocalStack) -> None:
    name = uuid4().hex
    with ExitStack() as overrun:
        assert overrun.enter_context(task_lease.take(name, NOW))
        with task_lease.take(name, timedelta(minutes=1)) as following:
            overrun.close()
            with task_lease.take(name, timedelta(minutes=1)) as third:
                assert (following, third) == (True, False)


def test_chats_take_turns() -> None:
    crowd = [(f"a{number}", 1) for number in range(500)] + [("b0", 2), ("c0", 3), ("b1", 2)]
    found = list(sweep._in_turn(crowd))
    assert found[:5] == [("a0", 1), ("b0", 2), ("c0", 3), ("a1", 1), ("b1", 2)]
    assert len(found) == sweep.ANSWERS_OF_A_CHAT + 3


def test_waiting_photos_are_not_transferred(queued: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "JOB_LOST", timedelta(hours=1))
    predictions.mark_enqueued(queued.prediction_id, times.now())
    answers: list[str] = []
    events = aws.dynamodb().meta.events
    events.register("after-call.dynamodb", lambda parsed, **_: answers.append(str(parsed)), unique_id="answers")
    sweep_once()
    events.unregister("after-call.dynamodb", unique_id="answers")
    assert [answer for answer in answers if queued.prediction_id in answer] == []
    predictions.delete(queued.prediction_id)
