"""Below what is stored of a photo, "Less sure" has the model look once more: one more job, and one more answer."""

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from django.conf import settings

from botsite import language
from botsite.bot.buttons import looks, presses, redraw
from botsite.bot.buttons.looks import Look
from botsite.bot.incoming import limits
from botsite.bot.incoming.updates import Press
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramUser
from detection.model import yolo
from detection.picture import pixels
from detection.record import images, items, predictions, queries
from detection.record.schemas import Detection, Options, Prediction
from detection.work import jobs

_groups = count(-33_000, -1)
DOG = Detection("dog", 0.2, 0.7, 0.5, 0.2, 0.4)
ANSWERED = Prediction("0" * 32, 1, 2, "photos/x", detections=(DOG,), candidates=(DOG,), classes={"dog": 16})


def answered(user: TelegramUser, photo: bytes) -> Message:
    """Send a photo that shows all that is stored of it; return its answer."""
    return user.wait_for_reply(user.send_photo(photo, caption="@object_detection_bot conf 0.1"))


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def less_sure(message: Message) -> str:
    return next(str(button.data) for button in message.buttons if button.text == "Less sure")


def press(user: TelegramUser, message: Message) -> str:
    return user.wait_for_answer(user.press(message.message_id, less_sure(message))).text


def from_bot(user: TelegramUser) -> list[Message]:
    return [message for message in user.messages() if message.from_bot]


def second(user: TelegramUser, first: Message) -> Message:
    return user.wait_for(lambda message: message.from_bot and message.message_id != first.message_id)


def test_press_below_least_has_model_look_again(user: TelegramUser, photo: bytes) -> None:
    answer, before = answered(user, photo), newest(user)
    assert less_sure(answer).startswith(f"deeper:{before.prediction_id}:")
    assert press(user, answer) == redraw.LOOKING
    more, after = second(user, answer), newest(user)
    assert more.reply_to == answer.reply_to
    assert after.prediction_id != before.prediction_id
    assert (after.message_id, after.image_key, after.floor_percent) == (before.message_id, before.image_key, 5)
    assert {box.label for box in after.candidates} >= {box.label for box in before.candidates}
    assert len(after.candidates) >= len(before.candidates)
    # What is less than 5 % is nobody's business, and 5 % is where the buttons end.
    assert not [button for button in more.buttons if button.text == "Less sure"]


def test_pressed_twice_looks_once(user: TelegramUser, photo: bytes) -> None:
    answer = answered(user, photo)
    queries_of_presses = [user.press(answer.message_id, less_sure(answer)) for _ in range(3)]
    notices = {user.wait_for_answer(query).text for query in queries_of_presses}
    assert notices <= {redraw.LOOKING, redraw.LOOKED}
    second(user, answer)
    assert press(user, answer) == redraw.LOOKED
    assert len(from_bot(user)) == 2
    assert len(queries.latest_of_chat(user.chat_id)) == 2


def test_somebody_else_has_model_look_no_further(stack: LocalStack, photo: bytes) -> None:
    group = next(_groups)
    sender, other = (TelegramUser(stack.telegram_url, group, user_id=number) for number in (941, 942))
    answer = answered(sender, photo)
    assert press(other, answer) == presses.NOT_YOURS
    assert len(queries.latest_of_chat(group)) == 1


def test_missing_photo_is_not_looked_at_again(user: TelegramUser, photo: bytes) -> None:
    answer = answered(user, photo)
    images.delete(newest(user).image_key)
    assert press(user, answer) == presses.GONE
    assert len(queries.latest_of_chat(user.chat_id)) == 1


def test_photo_deleted_before_its_second_look_is_told(user: TelegramUser, photo: bytes, stack: LocalStack) -> None:
    answer = answered(user, photo)
    first = newest(user)
    again = redraw._deeper(first, Look(10))
    images.delete(first.image_key)
    jobs.submit_stored(again)
    assert "no longer stored" in str(second(user, answer).text)


def test_job_that_was_not_sent_is_sent_by_the_next_press(user: TelegramUser, photo: bytes) -> None:
    answer = answered(user, photo)
    # What a site leaves that ended between the item and the job.
    predictions.create(redraw._deeper(newest(user), Look(10)))
    assert press(user, answer) == redraw.LOOKING
    second(user, answer)


def test_second_look_counts_as_photo(user: TelegramUser, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = answered(user, photo)
    monkeypatch.setattr(settings, "PHOTOS_PER_DAY", 1)
    assert limits.take(user.chat_id, newest(user).prediction_id) is None
    press = Press(chat_id=user.chat_id, message_id=1, query_id="x", data=less_sure(answer), pressed_by=user.chat_id)
    with language.speaking("de"):
        assert asyncio.run(presses._act(press)).startswith(
            "Du hast die Grenze für eine Person erreicht: 1 Fotos pro Tag"
        )
    assert len(queries.latest_of_chat(user.chat_id)) == 1


def test_photo_without_objects_can_be_looked_at_again(user: TelegramUser) -> None:
    prediction = replace(ANSWERED, detections=(), candidates=(), classes={})
    ((button,),) = looks.keyboard(prediction, looks.first(prediction))
    assert button.data == f"deeper:{prediction.prediction_id}:2510"


@pytest.mark.parametrize(("floor", "steps"), [(None, ["deeper"]), (5, ["look"])])
def test_steps_end_at_what_the_model_was_asked(floor: int | None, steps: list[str]) -> None:
    prediction = replace(ANSWERED, floor_percent=floor)
    rows = looks.keyboard(prediction, Look(10))
    assert [button.data.partition(":")[0] for button in rows[0] if button.text == "Less sure"] == steps


def test_model_gives_more_the_lower_the_floor(photo: bytes, weights: str) -> None:
    jpeg = pixels.ordinary_jpeg(photo)
    assert jpeg
    image = jpeg.decode()
    assert image is not None
    usual, deep = (yolo.load().detector.predict(image, floor) for floor in (0.1, 0.03))
    assert len(deep) >= len(usual)
    assert min(box.confidence for box in deep) > 0.03


def test_item_of_most_candidates_stays_small() -> None:
    boxes = [replace(DOG, label=f"label {number % 80}", confidence=0.05) for number in range(300)]
    stored = items.candidates(boxes, {f"label {number}": number for number in range(80)})
    assert len(stored["boxes"]) + sum(len(label) for label in stored["labels"]) < 5000


def test_second_look_keeps_what_was_asked_for(stack: LocalStack) -> None:
    first = replace(ANSWERED, as_file=True, sender_id=7, language="de", photo_bytes=99, thread_id=3)
    again = redraw._deeper(first, Look(10, "dog", labels=False, blur=True))
    kept = {"as_file": True, "sender_id": 7, "language": "de", "photo_bytes": 99, "thread_id": 3}
    assert {name: getattr(again, name) for name in kept} == kept
    assert again.options == Options(("dog",), 0.05, labels=False, blur=True)
    assert looks.first(replace(again, candidates=(DOG,))) == Look(5, "dog", labels=False, blur=True)
