"""What a crash or a lost message left half done is found by index and mended; dead letters have an owner."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from botsite import aws
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection import dead_letters, images, predictions, upkeep
from detection.schemas import Delivery, Prediction, Status

from . import letters
from .processes import wait_until

NOW = timedelta(seconds=-1)


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
        monkeypatch.setattr(upkeep, name, NOW)


def _reaches(prediction: Prediction, delivery: Delivery) -> Prediction:
    def there() -> Prediction | None:
        found = predictions.find(prediction.prediction_id)
        return found if found and found.delivery is delivery else None

    found = wait_until(there)
    assert found is not None
    return found


def test_a_photo_whose_job_was_never_sent_is_answered(queued: Prediction, user: TelegramUser) -> None:
    upkeep.sweep()
    assert _reaches(queued, Delivery.DELIVERED).status is Status.SUCCEEDED


def test_an_answer_whose_callback_was_lost_is_delivered(queued: Prediction, user: TelegramUser) -> None:
    claimed = predictions.claim(queued.prediction_id, "gone").prediction
    assert claimed is not None
    predictions.succeed(claimed, [], "yolo", 1)
    upkeep.sweep()
    _reaches(queued, Delivery.DELIVERED)


def test_a_sender_that_died_with_the_lease_is_replaced(
    queued: Prediction, user: TelegramUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions.fail(queued.prediction_id, "sorry")
    monkeypatch.setattr(predictions, "DELIVERY_LEASE", NOW)
    predictions.claim_delivery(queued.prediction_id)
    upkeep.sweep()
    _reaches(queued, Delivery.DELIVERED)
    assert [message.text for message in user.messages()].count("sorry") == 1


def test_a_job_whose_message_is_lost_is_taken_over(queued: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions.claim(queued.prediction_id, "gone")
    key = {"prediction_id": queued.prediction_id}
    long_ago = {":then": predictions.now(timedelta(hours=-1))}
    aws.dynamodb().update_item(
        TableName=images.settings.PREDICTIONS_TABLE,
        Key=key,
        UpdateExpression="SET started_at = :then",
        ExpressionAttributeValues=long_ago,
    )
    upkeep.sweep()
    assert _reaches(queued, Delivery.DELIVERED).attempts == 2


def test_a_photo_that_was_tried_too_often_is_given_up_and_said_to_be(queued: Prediction, user: TelegramUser) -> None:
    for _ in range(upkeep.ATTEMPTS_AT_MOST):
        predictions.claim(queued.prediction_id, "same")
    upkeep.sweep()
    assert _reaches(queued, Delivery.DELIVERED).error == upkeep.GIVEN_UP
    assert [message.text for message in user.messages()].count(upkeep.GIVEN_UP) == 1


def test_a_sweep_twice_or_over_nothing_changes_nothing(queued: Prediction, user: TelegramUser) -> None:
    for _ in range(3):
        upkeep.sweep()
    _reaches(queued, Delivery.DELIVERED)
    upkeep.sweep()
    assert len([message for message in user.messages() if message.from_bot and message.photo]) <= 1


def test_an_item_that_is_half_written_holds_nothing_up(queued: Prediction, stack: LocalStack) -> None:
    times = {"created_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:00.000Z"}
    states = [("queued", "pending"), ("succeeded", "pending"), ("processing", "delivering")]
    broken = [{"prediction_id": uuid4().hex, "status": one, "delivery": other} | times for one, other in states]
    broken += [{"prediction_id": uuid4().hex, "delivery": "pending"} | times]
    for item in broken:
        aws.dynamodb().put_item(TableName=stack.env["PREDICTIONS_TABLE"], Item=item)
    upkeep.sweep()
    _reaches(queued, Delivery.DELIVERED)
    for item in broken:
        predictions.delete(item["prediction_id"])


@pytest.fixture
def dead(queued: Prediction, stack: LocalStack) -> Prediction:
    """Return a prediction whose job is a dead letter."""
    letters.bury(queued)
    return queued


def test_the_sender_of_a_dead_letter_is_told_once(dead: Prediction, user: TelegramUser) -> None:
    upkeep.bury()
    upkeep.bury()
    assert _reaches(dead, Delivery.DELIVERED).error == upkeep.GIVEN_UP
    assert [message.text for message in user.messages()].count(upkeep.GIVEN_UP) == 1


def test_a_letter_of_a_job_that_was_tried_again_since_fails_nothing(dead: Prediction) -> None:
    predictions.mark_enqueued(dead.prediction_id, predictions.now(2 * upkeep.RECORDED))
    upkeep.bury()
    found = predictions.find(dead.prediction_id)
    assert found is not None
    assert found.status is Status.QUEUED
    predictions.delete(dead.prediction_id)


def test_a_replayed_letter_is_worked_on_and_answered_again(dead: Prediction, user: TelegramUser) -> None:
    upkeep.bury()
    _reaches(dead, Delivery.DELIVERED)

    def replayed() -> bool:
        call_command("dlq", "replay")
        found = predictions.find(dead.prediction_id)
        return found is not None and found.status is not Status.FAILED

    wait_until(replayed)
    wait_until(lambda: _reaches(dead, Delivery.DELIVERED).status is Status.SUCCEEDED)


def test_letters_that_are_no_jobs_are_listed_and_purged(capsys: pytest.CaptureFixture[str], stack: LocalStack) -> None:
    aws.client("sqs").send_message(QueueUrl=dead_letters.queue_url(), MessageBody="not a job")
    call_command("dlq", "list")
    assert "not a job" in capsys.readouterr().out
    call_command("dlq", "purge")

    def empty() -> bool:
        call_command("dlq", "list")
        return capsys.readouterr().out.startswith("0 dead letters")

    wait_until(empty)


def test_photos_whose_jobs_wait_for_a_worker_are_not_read_one_by_one(
    queued: Prediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "JOB_LOST", timedelta(hours=1))
    predictions.mark_enqueued(queued.prediction_id, predictions.now())
    reads: list[str] = []
    events = aws.dynamodb().meta.events
    events.register("provide-client-params.dynamodb.GetItem", _noting(reads), unique_id="reads")
    upkeep.sweep()
    events.unregister("provide-client-params.dynamodb.GetItem", unique_id="reads")
    assert queued.prediction_id not in reads


def _noting(reads: list[str]) -> Callable[..., None]:
    def note(params: dict[str, Any], **_: Any) -> None:
        reads.append(params["Key"]["prediction_id"])

    return note
