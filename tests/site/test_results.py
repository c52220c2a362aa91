"""`/results`: only the worker may call it, only for what is finished, and the answer is sent once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.core import signing

from botsite import aws
from botsite.bot.answers import answer, deliver
from botsite.bot.words import replies
from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection.record import deliveries, images, predictions, reasons
from detection.record.schemas import Delivery, Detection, Prediction
from detection.record.sentences import Code
from detection.work import callback

TWO_BUSES = "2 buses"
_groups = count(4_000_000)
BUS = Detection("bus", 0.9, 0.5, 0.5, 0.4, 0.4)
Ask = Callable[..., httpx.Response]
Call = Callable[..., int]


@pytest.fixture
def ask(stack: LocalStack) -> Ask:
    """Return a function that calls `/results` of a site as the worker does."""
    sites = list(stack.sites.values())
    numbers = count()

    def ask(prediction_id: str, signature: str | None = None) -> httpx.Response:
        headers = {callback.SIGNATURE_HEADER: callback.sign(prediction_id) if signature is None else signature}
        url = f"{sites[next(numbers) % len(sites)]}/results"
        return httpx.get(url, params={"predictionId": prediction_id}, headers=headers, timeout=PATIENCE_SECONDS)

    return ask


@pytest.fixture
def call(ask: Ask) -> Call:
    """Return a function that calls `/results` and returns the status."""
    return lambda *arguments: ask(*arguments).status_code


@pytest.fixture
def finished(user: TelegramUser, stack: LocalStack, photo: bytes) -> Prediction:
    """Return a prediction that has succeeded, whose worker has not called back."""
    prediction = _queued(user)
    claimed = predictions.claim(prediction.prediction_id, "a-job").prediction
    assert claimed is not None
    images.put(prediction.result_key, photo, "image/jpeg")
    predictions.succeed(claimed, [BUS, BUS], "model", 12)
    return prediction


def _queued(user: TelegramUser) -> Prediction:
    prediction_id = uuid4().hex
    prediction = Prediction(prediction_id, user.chat_id, user.send_text("hello"), f"photos/{prediction_id}")
    assert predictions.create(prediction).granted
    return prediction


def test_finished_prediction_is_delivered(call: Call, finished: Prediction, user: TelegramUser) -> None:
    assert call(finished.prediction_id) == 200
    answer = user.wait_for(lambda message: message.photo is not None)
    assert (answer.caption, answer.reply_to) == (TWO_BUSES, finished.message_id)
    stored = predictions.find(finished.prediction_id)
    assert stored is not None
    assert stored.delivery is Delivery.DELIVERED
    assert stored.delivered_at


def test_second_sender_is_told_when_to_come_again(ask: Ask, finished: Prediction) -> None:
    assert deliveries.claim(finished.prediction_id).granted
    answer = ask(finished.prediction_id)
    lease = deliveries.LEASE.total_seconds()
    assert (answer.status_code, 0 < int(answer.headers["Retry-After"]) <= lease + 2) == (503, True)


def test_ten_concurrent_calls_send_one_answer(call: Call, finished: Prediction, user: TelegramUser) -> None:
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(call, [finished.prediction_id] * 10))
    assert set(statuses) <= {200, 503}
    assert call(finished.prediction_id) == 200
    assert len([message for message in user.messages() if message.photo]) == 1


@pytest.mark.parametrize("signature", ["", "x", "a:b:c"])
def test_unsigned_call_is_refused(call: Call, finished: Prediction, signature: str) -> None:
    assert call(finished.prediction_id, signature) == 403


def test_signature_is_valid_for_one_prediction(call: Call, finished: Prediction, user: TelegramUser) -> None:
    assert call(finished.prediction_id, callback.sign(_queued(user).prediction_id)) == 403


def test_expired_signature_is_refused(call: Call, finished: Prediction, stack: LocalStack) -> None:
    class Earlier(signing.TimestampSigner):
        def timestamp(self) -> str:
            return signing.b62_encode(1_700_000_000)

    signer = Earlier(key=stack.env["RESULTS_KEY"], salt="results")
    assert call(finished.prediction_id, signer.sign(finished.prediction_id)) == 403


def test_unknown_is_404_and_unfinished_409(call: Call, user: TelegramUser) -> None:
    assert call(uuid4().hex) == 404
    assert call(_queued(user).prediction_id) == 409


def test_temporary_refusal_is_tried_again(
    call: Call, finished: Prediction, user: TelegramUser, stack: LocalStack
) -> None:
    control = TelegramControl(stack.telegram_url)
    control.fault("sendPhoto", "too_many_requests", chat_id=user.chat_id, retry_after=1)
    assert [call(finished.prediction_id), call(finished.prediction_id)] == [503, 200]


def test_blocking_chat_is_given_up(call: Call, finished: Prediction, user: TelegramUser) -> None:
    user.block()
    assert [call(finished.prediction_id), call(finished.prediction_id)] == [200, 200]
    stored = predictions.find(finished.prediction_id)
    assert stored is not None
    assert stored.delivery is Delivery.UNDELIVERABLE


def test_all_answers_to_closed_chat_are_given_up(
    call: Call, finished: Prediction, user: TelegramUser, photo: bytes
) -> None:
    waiting = _queued(user)
    predictions.fail(waiting.prediction_id, reasons.of("sorry"))
    user.block()
    assert call(finished.prediction_id) == 200
    stored = predictions.find(waiting.prediction_id)
    assert stored is not None
    assert stored.delivery is Delivery.UNDELIVERABLE


def test_rejected_picture_still_gives_counts(
    call: Call, finished: Prediction, user: TelegramUser, stack: LocalStack
) -> None:
    control = TelegramControl(stack.telegram_url)
    control.fault("sendPhoto", "bad_request", chat_id=user.chat_id, description="Bad Request: IMAGE_PROCESS_FAILED")
    assert call(finished.prediction_id) == 200
    assert user.wait_for(lambda message: message.text == TWO_BUSES)


def test_photo_without_objects_has_its_own_answer(call: Call, user: TelegramUser) -> None:
    prediction = _queued(user)
    claimed = predictions.claim(prediction.prediction_id, "a-job").prediction
    assert claimed is not None
    predictions.succeed(claimed, [], "model", 12)
    assert call(prediction.prediction_id) == 200
    assert user.wait_for(lambda message: (message.text or "").startswith(replies.NOTHING_FOUND))


def test_failed_prediction_is_answered_with_its_reason(call: Call, user: TelegramUser) -> None:
    prediction = _queued(user)
    predictions.fail(prediction.prediction_id, reasons.of("The image is damaged."))
    assert call(prediction.prediction_id) == 200
    assert user.wait_for(lambda message: message.text == "The image is damaged.")


def test_lost_picture_still_gives_counts(call: Call, finished: Prediction, user: TelegramUser) -> None:
    images.delete(finished.result_key)
    assert call(finished.prediction_id) == 200
    assert user.wait_for(lambda message: message.text == TWO_BUSES)


def test_persistently_failing_picture_ends_as_text(
    call: Call, finished: Prediction, user: TelegramUser, stack: LocalStack
) -> None:
    control = TelegramControl(stack.telegram_url)
    control.fault("sendPhoto", "server_error", chat_id=user.chat_id, times=100)
    for _ in range(answer._TEXT_AFTER_FAILURES):
        assert call(finished.prediction_id) == 503
        _make_due(finished)
    assert call(finished.prediction_id) == 200
    assert user.wait_for(lambda message: message.text == TWO_BUSES)


@pytest.mark.slow
def test_persistently_failing_answer_is_given_up(
    call: Call, finished: Prediction, user: TelegramUser, stack: LocalStack
) -> None:
    control = TelegramControl(stack.telegram_url)
    for method in ("sendPhoto", "sendMessage"):
        control.fault(method, "server_error", chat_id=user.chat_id, times=100)
    statuses = []
    for _ in range(deliver._GIVE_UP_AFTER_FAILURES):
        statuses.append(call(finished.prediction_id))
        _make_due(finished)
    assert statuses == [503] * (len(statuses) - 1) + [200]
    assert _stored(finished).delivery is Delivery.UNDELIVERABLE


def test_failing_answer_waits_longer_each_time(call: Call, finished: Prediction, user: TelegramUser) -> None:
    waits = [deliver._wait(failures).total_seconds() for failures in range(1, 12)]
    assert waits[:5] == [0, 0, 30, 60, 120]
    assert waits == sorted(waits)
    assert waits[-1] == 3600


def test_unreadable_result_ends_with_apology(call: Call, finished: Prediction, user: TelegramUser) -> None:
    key = {"prediction_id": finished.prediction_id}
    values = {":junk": [{"label": "bus"}]}
    table = settings.PREDICTIONS_TABLE
    update = "SET detections = :junk"
    aws.dynamodb().update_item(TableName=table, Key=key, UpdateExpression=update, ExpressionAttributeValues=values)
    assert call(finished.prediction_id) == 200
    assert user.wait_for(lambda message: message.text == Code.GIVEN_UP.value)
    item = predictions.find_item(finished.prediction_id)
    assert item is not None
    assert item["delivery"] == Delivery.UNDELIVERABLE


def test_answer_follows_migrated_group(call: Call, stack: LocalStack, photo: bytes) -> None:
    member = TelegramUser(stack.telegram_url, -next(_groups))
    prediction, waiting = _queued(member), _queued(member)
    for each in (prediction, waiting):
        predictions.fail(each.prediction_id, reasons.of("sorry"))
    moved_to = TelegramControl(stack.telegram_url).migrate(member.chat_id)
    assert call(prediction.prediction_id) == 200
    assert TelegramUser(stack.telegram_url, moved_to).wait_for(lambda message: message.text == "sorry")
    assert _stored(waiting).chat_id == moved_to


def test_status_of_migrated_group_is_left_behind(call: Call, stack: LocalStack) -> None:
    member = TelegramUser(stack.telegram_url, -next(_groups))
    prediction = _queued(member)
    predictions.note_status_message(prediction.prediction_id, 1)
    predictions.fail(prediction.prediction_id, reasons.of("sorry"))
    moved_to = TelegramUser(stack.telegram_url, TelegramControl(stack.telegram_url).migrate(member.chat_id))
    # The supergroup renumbers its messages, so the first one there is not the status.
    first = moved_to.wait_for_reply(moved_to.send_text("/help"))
    assert call(prediction.prediction_id) == 200
    assert moved_to.wait_for(lambda message: message.text == "sorry")
    assert moved_to.message(first.message_id) == first
    assert _stored(prediction).status_message_id is None


def _stored(prediction: Prediction) -> Prediction:
    stored = predictions.find(prediction.prediction_id)
    assert stored is not None
    return stored


def _make_due(prediction: Prediction) -> None:
    """Let the time pass for which a failed answer waits."""
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": prediction.prediction_id},
        UpdateExpression="REMOVE delivery_until",
    )
