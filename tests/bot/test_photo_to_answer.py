"""The whole path: a photo goes in by Telegram and comes back with its objects boxed and counted."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from botsite import aws
from botsite.bot.words import found
from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramUser
from detection.record import predictions, queries
from detection.record.schemas import Delivery, Prediction, Status
from tests.support import new_updates
from tests.support.processes import wait_until


def test_photo_comes_back_boxed_and_counted(user: TelegramUser, photo: bytes) -> None:
    message_id = user.send_photo(photo)
    answer = user.wait_for_reply(message_id)
    prediction = _prediction(user)
    assert prediction.detections
    assert answer.caption == found.caption(prediction.detections)
    original, boxed = (
        np.asarray(Image.open(BytesIO(data)).convert("RGB"), int) for data in (photo, user.download(answer))
    )
    assert boxed.shape == original.shape
    assert np.abs(boxed - original).max() > 100


def test_item_records_whole_story(user: TelegramUser, photo: bytes, stack: LocalStack) -> None:
    message_id = user.send_photo(photo)
    user.wait_for_reply(message_id)
    prediction = _prediction(user)
    assert (prediction.status, prediction.delivery, prediction.attempts) == (Status.SUCCEEDED, Delivery.DELIVERED, 1)
    assert (prediction.chat_id, prediction.message_id) == (user.chat_id, message_id)
    steps = [prediction.created_at, prediction.started_at, prediction.finished_at, prediction.delivered_at]
    known = [step for step in steps if step]
    assert known == sorted(known)
    assert len(known) == len(steps)
    assert prediction.model
    assert prediction.inference_ms
    assert prediction.cpu_ms
    assert prediction.cpus == os.cpu_count()


def test_both_images_are_stored_under_prediction_id(user: TelegramUser, photo: bytes, stack: LocalStack) -> None:
    user.wait_for_reply(user.send_photo(photo))
    prediction_id = _prediction(user).prediction_id
    s3 = aws.s3().meta.client
    keys = {f"photos/{prediction_id}": "application/octet-stream", f"results/{prediction_id}.jpg": "image/jpeg"}
    found = {key: s3.head_object(Bucket=stack.env["IMAGES_BUCKET"], Key=key)["ContentType"] for key in keys}
    assert found == keys


def test_image_sent_as_file_keeps_its_bytes(user: TelegramUser, photo: bytes) -> None:
    buffer = BytesIO()
    Image.open(BytesIO(photo)).save(buffer, "PNG")
    message_id = user.send_document(buffer.getvalue(), "street.png", "image/png")
    assert user.wait_for_reply(message_id).document


def test_each_photo_of_album_is_answered(user: TelegramUser, photo: bytes) -> None:
    message_ids = user.send_album([photo, photo, photo], caption="three <b>times</b> & more")
    answers = [user.wait_for_reply(message_id) for message_id in message_ids]
    assert len({answer.message_id for answer in answers}) == 3


def test_repeated_update_is_answered_once(user: TelegramUser, known_file: FileReference, stack: LocalStack) -> None:
    update = new_updates.with_photo(user.chat_id, known_file)
    headers = {"X-Telegram-Bot-Api-Secret-Token": stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    urls = [f"{site}/telegram/webhook" for site in [*stack.sites.values()] * 3][:5]
    with ThreadPoolExecutor(5) as pool:
        answers = list(
            pool.map(lambda url: httpx.post(url, json=update, headers=headers, timeout=PATIENCE_SECONDS), urls)
        )
    assert [answer.status_code for answer in answers] == [200] * 5
    user.wait_for(lambda message: message.photo is not None)
    assert len(queries.latest_of_chat(user.chat_id)) == 1
    assert _prediction(user).attempts == 1
    assert len([message for message in user.messages() if message.from_bot]) == 1


def test_two_photos_are_two_predictions(user: TelegramUser, photo: bytes) -> None:
    for message_id in [user.send_photo(photo), user.send_photo(photo)]:
        user.wait_for_reply(message_id)
    assert len(queries.latest_of_chat(user.chat_id)) == 2


@pytest.mark.slow
def test_model_is_loaded_once_before_first_job(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    for message_id in user.send_album([photo] * 5):
        user.wait_for_reply(message_id)
    lines = (stack.folder / "logs" / "yolo5-1.log").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert events.count("model_loaded") == 1
    ready = next(number for number, event in enumerate(events) if event.endswith(" ready."))
    assert events.index("model_loaded") < ready < events.index("job_started")


def _prediction(user: TelegramUser) -> Prediction:
    """Return the newest prediction of this chat, once its delivery is recorded."""

    def delivered() -> Prediction | None:
        prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
        return prediction if prediction and prediction.delivery is Delivery.DELIVERED else None

    found = wait_until(delivered)
    assert found is not None
    return found
