"""An answered photo is shown in other ways at the press of a button: from its stored boxes, without another job."""

import asyncio
import json
from dataclasses import replace
from io import BytesIO
from itertools import count
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from botsite import aws, language
from botsite.bot.answers import answer as answer_of
from botsite.bot.answers import drawing
from botsite.bot.buttons import looks, presses, redraw
from botsite.bot.buttons.looks import Look
from botsite.bot.words import found, replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramControl, TelegramUser
from detection.picture import blur, redrawn, render
from detection.record import images, predictions, queries
from detection.record.schemas import Detection, Options, Prediction
from tests.support.buttons import data_of, press
from tests.support.processes import wait_until

_groups = count(-29_000, -1)
PERSON, DOG = Detection("person", 0.9, 0.3, 0.5, 0.2, 0.4), Detection("dog", 0.2, 0.7, 0.5, 0.2, 0.4)
NOT_MODIFIED = "Bad Request: message is not modified"
ANSWERED = Prediction(
    "0" * 32, 1, 2, "photos/x", detections=(PERSON,), candidates=(PERSON, DOG), classes={"person": 0, "dog": 16}
)


def answered(user: TelegramUser, photo: bytes) -> Message:
    """Send a photo; return its answer."""
    caption = "@object_detection_bot" if user.chat_id < 0 else None
    answer = user.wait_for_reply(user.send_photo(photo, caption=caption))
    assert answer.photo
    # Telegram has it a moment before the item says so.
    wait_until(lambda: newest(user).delivered)
    return answer


def newest(user: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction


def again(user: TelegramUser, message: Message) -> Message:
    """Return the message as it is now."""
    found = user.message(message.message_id)
    assert found is not None
    return found


def settled(control: TelegramControl, user: TelegramUser) -> tuple[int, ...]:
    """Return the statuses of the latest update, a press, once they are known."""
    wait_until(lambda: control.updates(user.chat_id)[-1].settled)
    return control.updates(user.chat_id)[-1].statuses


def from_bot(user: TelegramUser) -> list[Message]:
    return [message for message in user.messages() if message.from_bot]


def test_press_shows_only_one_class_without_another_job(user: TelegramUser, photo: bytes) -> None:
    answer, before = answered(user, photo), newest(user)
    label = next(button.text for button in answer.buttons if button.text.startswith("Only "))
    assert press(user, answer, label) == ""
    shown = again(user, answer)
    assert shown.caption == found.caption(
        [box for box in before.detections if language.several(box.label) == label.removeprefix("Only ")]
    )
    assert len(from_bot(user)) == 1
    assert newest(user) == before
    assert press(user, shown, "Everything") == ""
    assert again(user, answer).caption == answer.caption


def test_labels_go_and_come_back(user: TelegramUser, photo: bytes) -> None:
    answer = answered(user, photo)
    pictures = [user.download(answer)]
    for text in ("Hide labels", "Show labels"):
        assert press(user, again(user, answer), text) == ""
        pictures.append(user.download(again(user, answer)))
    with_labels, without, restored = (np.asarray(Image.open(BytesIO(data)).convert("RGB"), int) for data in pictures)
    assert np.abs(with_labels[: len(without)] - without).max() > 100
    assert np.abs(with_labels - restored).mean() < 3


def test_pressed_twice_shows_once(user: TelegramUser, photo: bytes) -> None:
    answer = answered(user, photo)
    data = data_of(answer, "Hide labels")
    notices = [
        user.wait_for_answer(query).text
        for query in [user.press(answer.message_id, data, altered=True) for _ in range(2)]
    ]
    assert notices == ["", ""]
    assert len(from_bot(user)) == 1


def test_press_counts_though_its_query_is_too_old(user: TelegramUser, stack: LocalStack, photo: bytes) -> None:
    control, answer = TelegramControl(stack.telegram_url), answered(user, photo)
    reason = "Bad Request: query is too old and response timeout expired or query ID is invalid"
    rule = control.fault("answerCallbackQuery", "bad_request", description=reason)
    user.press(answer.message_id, data_of(answer, "Hide labels"), altered=True)
    wait_until(lambda: control.faults_fired(rule) == 1)
    assert data_of(again(user, answer), "Show labels")
    assert settled(control, user) == (200,)


@pytest.mark.parametrize("method", ["editMessageMedia", "editMessageReplyMarkup"])
def test_edit_without_change_is_no_failure(user: TelegramUser, stack: LocalStack, photo: bytes, method: str) -> None:
    control, answer = TelegramControl(stack.telegram_url), answered(user, photo)
    rule = control.fault(method, "bad_request", chat_id=user.chat_id, description=NOT_MODIFIED)
    assert press(user, answer, "Hide labels" if method == "editMessageMedia" else "More") == ""
    assert control.faults_fired(rule) == 1
    assert settled(control, user) == (200,)


def test_pressing_all_the_time_keeps_nobody_else_waiting(user: TelegramUser, stack: LocalStack, photo: bytes) -> None:
    other = TelegramUser(stack.telegram_url, user.chat_id + 700_000)
    answer, others = answered(user, photo), answered(other, photo)
    data = data_of(answer, "Download data")
    pressed = [user.press(answer.message_id, data, altered=True) for _ in range(12)]
    assert press(other, others, "Hide labels") == ""
    assert {user.wait_for_answer(query).text for query in pressed} <= {"", presses.FAILED, presses.ALREADY}


def test_large_files_of_one_person_hold_nobody_up() -> None:
    """Given somebody who presses in eight chats, where files are slow."""
    mine = [Prediction("x", -chat, 2, "photos/x", sender_id=7, as_file=True) for chat in range(1, 9)]
    theirs = Prediction("x", 8, 2, "photos/x", sender_id=8)

    async def press(turns: drawing.Turns, prediction: Prediction, until: asyncio.Event) -> None:
        async with turns.turn(prediction):
            await until.wait()

    async def pressed() -> list[BaseException | None]:
        end, at_once = asyncio.Event(), asyncio.Event()
        at_once.set()
        files = [asyncio.create_task(press(drawing.FILES, each, end)) for each in [*mine, theirs]]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await press(drawing.PICTURES, theirs, at_once)
        end.set()
        return await asyncio.gather(*files, return_exceptions=True)

    assert [isinstance(each, drawing.Busy) for each in asyncio.run(pressed())] == [False] * 2 + [True] * 6 + [False]


def test_crops_of_answer_come_while_presses_wait(
    user: TelegramUser, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(user, photo)
    monkeypatch.setattr(drawing, "PICTURES", drawing.Turns(0))
    assert asyncio.run(answer_of.crops_of(newest(user)))


def test_objects_are_cut_out(user: TelegramUser, photo: bytes) -> None:
    answer = answered(user, photo)
    assert press(user, answer, "Crops") == ""
    crops = from_bot(user)[1:]
    assert len(crops) == min(10, len(newest(user).detections))
    assert len({message.media_group_id for message in crops}) == 1
    assert all(message.photo for message in crops)


@pytest.mark.parametrize("text", ["Crops", "Download data"])
def test_what_is_pressed_twice_comes_once(user: TelegramUser, photo: bytes, text: str) -> None:
    answer = answered(user, photo)
    data = data_of(answer, text)
    notices = [
        user.wait_for_answer(query).text
        for query in [user.press(answer.message_id, data, altered=True) for _ in range(2)]
    ]
    assert sorted(notices) == ["", presses.ALREADY]
    assert len(from_bot(user)) == 1 + (1 if text == "Download data" else min(10, len(newest(user).detections)))


def test_crops_come_with_answer_if_caption_asks(user: TelegramUser, photo: bytes) -> None:
    message_id = user.send_photo(photo, caption="crops")
    answer = user.wait_for_reply(message_id)
    detections = newest(user).detections
    assert answer.caption == found.caption(detections)
    assert len(from_bot(user)) == 1 + min(9, len(detections))


def test_data_has_formats_of_other_programs(user: TelegramUser, photo: bytes) -> None:
    answer, prediction = answered(user, photo), newest(user)
    assert press(user, answer, "Download data") == ""
    document = user.wait_for(lambda message: message.document is not None)
    with ZipFile(BytesIO(user.download(document))) as files:
        ours = json.loads(files.read("detections.json"))
        coco = json.loads(files.read("coco/annotations/instances_default.json"))
        classes = files.read("yolo/classes.txt").decode().split("\n")
        lines = files.read("yolo/labels/photo.txt").decode().splitlines()
    assert [each["label"] for each in ours["detections"]] == [box.label for box in prediction.detections]
    names = {category["id"]: category["name"] for category in coco["categories"]}
    (image,) = coco["images"]
    for box, annotation, line in zip(prediction.detections, coco["annotations"], lines, strict=True):
        left, top, width, height = annotation["bbox"]
        assert names[annotation["category_id"]] == box.label == classes[int(line.split()[0])]
        assert (left + width / 2) / image["width"] == pytest.approx(box.cx, abs=0.01)
        assert (top + height / 2) / image["height"] == pytest.approx(box.cy, abs=0.01)
        assert [float(value) for value in line.split()[1:]] == pytest.approx(
            [box.cx, box.cy, box.width, box.height], abs=0.001
        )


def test_file_of_another_kind_is_shown_by_its_copy(user: TelegramUser, photo: bytes) -> None:
    png = BytesIO()
    Image.open(BytesIO(photo)).save(png, "PNG")
    answer = user.wait_for_reply(user.send_document(png.getvalue(), "photo.png", "image/png"))
    assert press(user, answer, "Hide labels") == ""
    assert again(user, answer).document


def test_missing_photo_is_told(user: TelegramUser, photo: bytes) -> None:
    answer = answered(user, photo)
    data = data_of(answer, "Hide labels")
    images.delete(newest(user).image_key)
    assert user.wait_for_answer(user.press(answer.message_id, data, altered=True)).text == presses.GONE
    predictions.delete(newest(user).prediction_id)
    assert user.wait_for_answer(user.press(answer.message_id, data, altered=True)).text == presses.GONE
    assert again(user, answer) == answer


def test_only_its_sender_changes_answer_in_group(stack: LocalStack, photo: bytes) -> None:
    group = next(_groups)
    sender, other = (TelegramUser(stack.telegram_url, group, user_id=number) for number in (911, 912))
    answer = answered(sender, photo)
    data = data_of(answer, "Hide labels")
    assert other.wait_for_answer(other.press(answer.message_id, data, altered=True)).text == presses.NOT_YOURS
    assert again(sender, answer) == answer


def test_answer_of_earlier_release_has_no_buttons(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    answered(user, photo)
    key = {"prediction_id": newest(user).prediction_id}
    aws.dynamodb().update_item(
        TableName=stack.env["PREDICTIONS_TABLE"], Key=key, UpdateExpression="REMOVE candidates, options"
    )
    prediction = newest(user)
    assert looks.keyboard(prediction, looks.first(prediction)) == []


def test_every_button_leads_to_its_look() -> None:
    for look in (Look(25), Look(10, blur=True), Look(90, "dog", labels=False)):
        rows = looks.keyboard(ANSWERED, look) + looks.more_buttons(ANSWERED, look)
        for button in (button for row in rows for button in row):
            action, prediction_id, data, *_ = button.data.split(":")
            assert looks.read(ANSWERED, data) is not None
            assert len(button.data.encode()) <= 64
            assert prediction_id == ANSWERED.prediction_id
            assert action in ("look", "crops", "data", "wrong", "more", "back")


@pytest.mark.parametrize("data", ["", "2511x", "9", "25119", "251102", "２５11", "2521", "25" * 20])
def test_forged_look_is_unknown(data: str) -> None:
    assert looks.read(ANSWERED, data) is None


@given(st.lists(st.sampled_from(["person", "dog", "bicycle"])), st.none() | st.floats(0.01, 1), st.booleans())
def test_whatever_a_caption_asks_for_has_working_buttons(only: list[str], least: float | None, blur: bool) -> None:
    prediction = replace(ANSWERED, options=Options(tuple(only), least, blur=blur))
    for button in (button for row in looks.keyboard(prediction, looks.first(prediction)) for button in row):
        assert looks.read(prediction, button.data.split(":")[2]) is not None


def test_less_sure_shows_more() -> None:
    assert looks.shown(ANSWERED, Look(25)) == [PERSON]
    assert looks.shown(ANSWERED, Look(15)) == [PERSON, DOG]


def test_look_begins_as_caption_asked() -> None:
    options = Options(only=("dog",), least=0.15, labels=False, blur=True)
    prediction = Prediction("x", 1, 2, "photos/x", candidates=(PERSON, DOG), options=options)
    assert looks.first(prediction) == Look(15, "dog", labels=False, blur=True)


def test_all_classes_of_caption_stay_chosen() -> None:
    car = Detection("car", 0.9, 0.5, 0.5, 0.2, 0.4)
    asked = replace(ANSWERED, candidates=(PERSON, car, DOG), options=Options(only=("person", "car"), least=0.1))
    look = looks.first(asked)
    assert looks.shown(asked, look) == looks.shown(asked, replace(look, labels=False)) == [PERSON, car]
    assert looks.shown(asked, replace(look, only="dog")) == [DOG]
    assert looks.options(asked, look.at(5)).only == ("person", "car")


def test_missing_class_stays_chosen() -> None:
    asked = replace(ANSWERED, detections=(), options=Options(only=("zebra",)))
    assert looks.shown(asked, looks.first(asked).at(10)) == []
    assert "zebras" in redraw.caption(asked, looks.first(asked))


@given(st.lists(st.builds(replace, st.just(DOG), label=st.sampled_from("abcde"), confidence=st.floats(0.1, 1))))
def test_answer_has_two_rows_of_buttons_at_most(boxes: list[Detection]) -> None:
    prediction = replace(ANSWERED, candidates=tuple(boxes), detections=())
    *_, last = rows = looks.keyboard(prediction, looks.first(prediction))
    assert len(rows) <= 2
    assert max(map(len, rows)) <= 3
    assert [button.text for button in last][-2:] == ["👍", "👎"]


def test_only_is_offered_for_what_is_surely_there() -> None:
    cat = replace(PERSON, label="cat", confidence=0.4)
    prediction = replace(ANSWERED, candidates=(PERSON, cat))
    texts = [button.text for row in looks.keyboard(prediction, Look(25)) for button in row]
    assert [text for text in texts if text.startswith("Only")] == ["Only people"]
    assert not looks.more_buttons(prediction, Look(25))[1][0].text.startswith("Only")


def test_everything_is_more_than_one_class() -> None:
    asked = replace(ANSWERED, options=Options(only=("person",)))
    assert looks.shown(asked, Look(15)) == [PERSON, DOG]
    assert "dogs" in redraw.caption(asked, Look(90, "dog"))


@pytest.mark.parametrize(("size", "head"), [((0.05, 0.6), 72), ((0.1, 0.4), 64), ((0.2, 0.2), 96), ((0.6, 0.2), 96)])
def test_heads_are_hidden_and_no_more(size: tuple[float, float], head: int) -> None:
    """Somebody who stands far away, or nearer; a portrait; somebody who lies. The picture is 640 x 480."""
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    image = noise.copy()
    width, height = size
    blur.blur(image, [Detection("person", 0.9, 0.5, 0.5, width, height)])
    top, left, right = round(240 - 240 * height), round(320 - 320 * width), round(320 + 320 * width)
    assert len(np.unique(image[top : top + head, left:right].reshape(-1, 3), axis=0)) <= 100
    image[top : top + head, left:right] = noise[top : top + head, left:right]
    assert (image == noise).all()


def test_caption_says_that_heads_are_blurred() -> None:
    assert redraw.caption(ANSWERED, Look(25, blur=True)).endswith(f"\n\n{replies.HEADS}")
    assert replies.HEADS not in redraw.caption(ANSWERED, Look(25))
    nobody = replace(ANSWERED, candidates=(DOG,))
    assert replies.HEADS not in redraw.caption(nobody, Look(10, blur=True))


def test_crops_show_their_objects() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[144:336, 128:256] = 255
    (crop,) = render.crops(render.Scene(image, [PERSON], {}), [PERSON], 10)
    pixels = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape[:2] == pytest.approx((211, 141), abs=2)
    assert pixels.mean() > 190


def test_blurred_people_stay_blurred_when_cut_out(stack: LocalStack) -> None:
    noise = BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)).save(noise, "JPEG")
    seen = replace(ANSWERED, image_key="photos/noise")
    images.put(seen.image_key, noise.getvalue(), "image/jpeg")
    crops = [redrawn.crops(*looks.drawn(seen, look), 1)[0] for look in (Look(25), Look(25, blur=True))]
    sharp, blurred = (float(np.asarray(Image.open(BytesIO(crop)))[20:110, 20:-20].std()) for crop in crops)
    assert sharp > 40
    assert blurred < 15


def test_original_size_comes_as_file(user: TelegramUser, photo: bytes) -> None:
    image = Image.open(BytesIO(photo)).convert("RGB")
    large = BytesIO()
    image.resize((2000, round(2000 * image.height / image.width))).save(large, "JPEG")
    answer = user.wait_for_reply(user.send_photo(large.getvalue(), high_definition=True))
    before = newest(user)
    assert press(user, answer, "Original size") == ""
    document = user.wait_for(lambda message: message.document is not None)
    assert document.reply_to == answer.message_id
    assert document.caption == answer.caption
    stored = Image.open(BytesIO(bytes(images.get(before.image_key))))
    boxed = Image.open(BytesIO(user.download(document)))
    assert boxed.width == stored.width
    assert max(stored.size) > max(Image.open(BytesIO(user.download(answer))).size)
    assert newest(user).attempts == before.attempts == 1


def test_original_size_is_left_out_where_it_is_the_same(user: TelegramUser, photo: bytes) -> None:
    answered(user, photo)
    texts = [button.text for row in looks.more_buttons(newest(user), looks.first(newest(user))) for button in row]
    assert "Download data" in texts
    assert "Original size" not in texts


def test_missing_original_is_told(user: TelegramUser, photo: bytes) -> None:
    large = BytesIO()
    Image.open(BytesIO(photo)).convert("RGB").resize((2000, 2000)).save(large, "JPEG")
    answer = user.wait_for_reply(user.send_photo(large.getvalue(), high_definition=True))
    images.delete(newest(user).image_key)
    assert [press(user, answer, "Original size") for _ in range(2)] == [presses.GONE] * 2
    assert len(from_bot(user)) == 1


def test_file_has_no_other_original(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_document(photo, "photo.jpg", "image/jpeg"))
    forged = f"orig:{newest(user).prediction_id}:2510"
    assert user.wait_for_answer(user.press(answer.message_id, forged, altered=True)).text == presses.UNKNOWN
    assert len(from_bot(user)) == 1
