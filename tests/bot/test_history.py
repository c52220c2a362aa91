"""People see their photos again, and what the bot knows, by commands and buttons; nobody sees those of others."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from itertools import count
from uuid import uuid4

import pytest
from django.conf import settings
from PIL import Image

from botsite import aws, rate_limit
from botsite.bot.buttons import complaints, looks
from botsite.bot.incoming.updates import Command
from botsite.bot.people import history, knows, preferences
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import found, replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import Message, TelegramControl, TelegramUser
from detection.model import yolo
from detection.record import feedback, images, items, known_classes, predictions, queries, times
from detection.record.schemas import Detection, Options, Prediction, Status
from tests.support.faulty import FaultySite, failing, through
from tests.support.processes import wait_until

_groups = count(-99_000, -1)
BUS, DOG = Detection("bus", 0.9, 0.3, 0.5, 0.2, 0.4), Detection("dog", 0.6, 0.7, 0.5, 0.2, 0.4)
COCO = [f"thing {number:03d}" for number in range(365)]


def press(user: TelegramUser, message: Message, text: str) -> str:
    """Press the button with a text of the message as it is now; return the notice."""
    shown = user.message(message.message_id)
    assert shown
    data = next(str(button.data) for button in shown.buttons if button.text == text)
    return user.wait_for_answer(user.press(message.message_id, data)).text


def ask(user: TelegramUser, command: str) -> Message:
    return user.wait_for_reply(user.send_text(command))


def text(user: TelegramUser, message: Message) -> str:
    shown = user.message(message.message_id)
    assert shown
    return str(shown.text)


def answered(user: TelegramUser, *boxes: Detection, ago: timedelta = timedelta()) -> Prediction:
    """Return an answered photo that came that long ago."""
    identity = uuid4().hex
    predictions.create(Prediction(identity, user.chat_id, 7, f"photos/{identity}", sender_id=user.chat_id))
    claimed = predictions.claim(identity, "a-job").prediction
    assert claimed
    predictions.succeed(claimed, boxes, "yolo", 5, candidates=boxes, classes={box.label: 1 for box in boxes})
    at = times.text(times.now(-ago))
    for name, value in (("created_at", at), ("delivered_at", times.text(times.now(-ago + timedelta(seconds=20))))):
        aws.dynamodb().update_item(
            TableName=settings.PREDICTIONS_TABLE,
            Key={"prediction_id": identity},
            UpdateExpression=f"SET {name} = :value, delivery = :delivered",
            ExpressionAttributeValues={":value": value, ":delivered": "delivered"},
        )
    prediction = predictions.find(identity)
    assert prediction
    return prediction


# --- /history and /stats ------------------------------------------------------------------------------------


def test_pages_show_newest_first(user: TelegramUser) -> None:
    photos = [answered(user, *[BUS] * (number + 1), ago=timedelta(hours=number)) for number in range(12)]
    pages = [photos[:5], photos[5:10], photos[10:]]
    message = ask(user, "/history")
    shown = [text(user, message)]
    for way in (history.OLDER, history.OLDER, history.NEWER, history.NEWER):
        assert press(user, message, way) == ""
        shown.append(text(user, message))
    expected = ["\n".join(f"{n}. {history._line(each)}" for n, each in enumerate(page, 1)) for page in pages]
    assert shown == [*expected, expected[1], expected[0]]
    assert [button.text for button in message.buttons] == ["1", "2", "3", "4", "5", history.OLDER]
    for told in (message, user.message(message.message_id)):
        assert told
        assert [unix for _, unix in told.times] == [
            int(times.latest(each.created_at).timestamp()) // 60 * 60 for each in photos[:5]
        ]


def test_photo_is_shown_again_by_its_id(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    sent = user.send_photo(photo)
    answer = user.wait_for_reply(sent)
    message = ask(user, "/history")
    assert press(user, message, "1") == ""
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction
    assert prediction.picture_file_id
    # That would be another one in STORAGE_CHAT.
    assert prediction.picture_message_id is None
    images.delete(prediction.result_key)
    assert press(user, message, "1") == ""
    again = [each for each in user.messages() if each.from_bot and each.photo]
    assert [each.reply_to for each in again] == [sent] * 3
    assert found.counts(prediction.detections) in str(again[-1].caption)
    assert [len(each.times) for each in again] == [0, 1, 1]
    assert again[-1].buttons == answer.buttons


def test_refused_id_is_replaced(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    user.wait_for_reply(user.send_photo(photo))
    (identity,) = queries.latest_of_chat(user.chat_id)
    predictions.note_picture(identity, "of-another-bot", 1)
    assert press(user, ask(user, "/history"), "1") == ""
    prediction = predictions.find(identity)
    assert prediction
    assert prediction.picture_file_id not in (None, "of-another-bot")


def test_missing_photo_is_told(user: TelegramUser) -> None:
    prediction = answered(user, BUS)
    message = ask(user, "/history")
    assert press(user, message, "1") == history.GONE
    predictions.delete(prediction.prediction_id)
    assert press(user, message, "1") == history.GONE


def test_history_without_photos(user: TelegramUser) -> None:
    assert ask(user, "/history").text == history.NOTHING
    assert ask(user, "/stats").text == history.NOTHING


@pytest.mark.parametrize("command", ["history", "stats"])
def test_group_does_not_see_photos_of_one(stack: LocalStack, command: str) -> None:
    group = TelegramUser(stack.telegram_url, next(_groups), user_id=9611)
    assert ask(group, f"/{command}@object_detection_bot").text == preferences.IN_PRIVATE.format(command=command)


def test_nobody_sees_photos_of_others(stack: LocalStack, user: TelegramUser) -> None:
    other = TelegramUser(stack.telegram_url, user.chat_id + 900_000)
    theirs = answered(other, BUS)
    mine = ask(user, "/history")
    assert theirs.prediction_id not in str(mine.buttons)
    assert mine.text == history.NOTHING


@pytest.mark.parametrize("data", ["", "x", "o:zz:1", "o:ab:99999999999999999", "n:ab:x", "o:" + "a" * 33 + ":1"])
def test_forged_place_is_no_place(data: str) -> None:
    assert history._PLACE.fullmatch(data) is None


def test_buttons_fit(user: TelegramUser) -> None:
    prediction = answered(user, BUS)
    for way in ("o", "n"):
        assert len(history._data(way, prediction).encode()) <= 64


def test_statistics(user: TelegramUser) -> None:
    for number in range(3):
        answered(user, BUS, *[DOG] * number, ago=timedelta(days=number))
    since = f"{times.now(timedelta(days=-2)):%Y-%m-%d}"
    assert str(ask(user, "/stats").text).split("\n") == [
        f"3 photos since {since}",
        "6 objects in them",
        "Most often: 3 buses, 3 dogs",
        "Typical answer: about 20 seconds",
    ]


def stored(user: TelegramUser, shown: tuple[Detection, ...], candidates: tuple[Detection, ...], *only: str) -> str:
    """Store an answered photo that shows some of its candidates; return its id."""
    identity = uuid4().hex
    prediction = Prediction(
        identity, user.chat_id, 7, f"photos/{identity}", Status.SUCCEEDED, created_at=times.now(), detections=shown,
        options=Options(only=only),
    )  # fmt: skip
    more = {"candidates": items.candidates(candidates, {})} if candidates else {}
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=items.write(prediction) | more)
    return identity


def crowded(user: TelegramUser, boxes: int, *, clip: bool = False) -> None:
    """Store an answered photo with so many boxes, or a clip, which has no candidates."""
    found = tuple(Detection("bus", 0.9, number / boxes, 0.5, 0.1, 0.1) for number in range(boxes))
    stored(user, found, () if clip else found)


def test_photos_read_briefly_have_what_was_shown(user: TelegramUser) -> None:
    unlikely = Detection("bus", 0.2, 0.5, 0.5, 0.1, 0.1)
    some = stored(user, (BUS,), (BUS, DOG, unlikely), "bus")
    without_candidates, nothing = stored(user, (DOG, DOG), ()), stored(user, (), (unlikely,))
    found = queries.known_briefly([some, without_candidates, nothing, "0" * 32])
    assert {identity: [box.label for box in each.detections] for identity, each in found.items()} == {
        some: ["bus"], without_candidates: ["dog", "dog"], nothing: [],
    }  # fmt: skip


@pytest.mark.slow
def test_statistics_of_crowded_photos_take_little_memory(user: TelegramUser) -> None:
    for number in range(70):
        crowded(user, 300, clip=number % 2 == 0)
    tracemalloc.start()
    said = history._statistics(user.chat_id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said.split("\n")[1:] == ["21000 objects in them", "Most often: 21000 buses"]
    assert peak < 40e6


def test_statistics_are_about_newest_photos(user: TelegramUser) -> None:
    for _ in range(101):
        crowded(user, 1)
    assert str(ask(user, "/stats").text).startswith("Your newest 100 photos, since ")


def test_statistics_are_read_once_chat_has_its_turn(site: FaultySite, user: TelegramUser) -> None:
    crowded(user, 1)
    rate_limit.pause(rate_limit.chat(user.chat_id), 60)
    site.break_(failing("dynamodb", "BatchGetItem", "internal error"))
    asked = Command(chat_id=user.chat_id, sender_id=user.chat_id, message_id=1, sent_at=times.now(), name="stats")
    with through(site), pytest.raises(TelegramError, match="limit is reached"):
        asyncio.run(history.statistics(asked))


# --- /what --------------------------------------------------------------------------------------------------


def test_model_tells_what_it_knows(stack: LocalStack, user: TelegramUser) -> None:
    labels = sorted(yolo.load().detector.labels.values())
    wait_until(lambda: sorted(known_classes.read()) == labels)
    assert str(ask(user, "/what").text).startswith(f"I can recognise {len(labels)} kinds of thing:")
    assert labels[0] in str(ask(user, f"/what {labels[0].upper()}").text)
    assert "I don't know “xylophone”" in str(ask(user, "/what xylophone").text)


def test_search_finds_words_plurals_and_slips() -> None:
    labels = ["person", "dog", "hot dog", "mouse"]
    found_for = [knows.search(word, labels) for word in ("dog", "PEOPLE", "mice", "persn")]
    assert found_for == ["Yes: dogs.", "Yes: people.", "Yes: mice.", "Yes: people."]
    assert len(knows.search("x" * 5000, labels)) < 300


def test_long_lists_have_pages() -> None:
    texts, keyboards = zip(*(knows.page(COCO, number) for number in range(4)), strict=True)
    assert [[button.text for row in rows for button in row] for rows in keyboards] == [
        ["More"], ["Back", "More"], ["Back", "More"], ["Back"],
    ]  # fmt: skip
    assert all(name in "".join(texts) for name in COCO)
    assert max(map(len, texts)) < 4096
    assert len(knows.page(["x" * 500] * 5000, 0)[0]) < 4096 * 2


@pytest.fixture
def much_known(stack: LocalStack) -> Iterator[None]:
    before = known_classes.read()
    known_classes.store("model", COCO)
    yield
    known_classes.store("model", before)


def test_pages_are_turned(much_known: None, user: TelegramUser) -> None:
    message = ask(user, "/what")
    assert press(user, message, "More") == ""
    assert "thing 120" in text(user, message)
    assert press(user, message, "Back") == ""
    assert text(user, message) == message.text


# --- /feedback ----------------------------------------------------------------------------------------------


def test_wrong_box_is_told_by_two_presses(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo))
    (identity,) = queries.latest_of_chat(user.chat_id)
    prediction = predictions.find(identity)
    assert prediction
    assert press(user, answer, looks.WRONG_TEXT) == ""
    asked = user.message(answer.message_id)
    assert asked
    first = asked.buttons[0]
    assert first.text.startswith("1. ")
    assert user.download(asked) != user.download(answer)
    assert press(user, answer, first.text) == complaints.THANKS
    (number,) = feedback.of([identity])[identity].wrong
    assert prediction.candidates[number].label in first.text
    assert user.message(answer.message_id).buttons == answer.buttons  # type: ignore[union-attr]
    assert identity in feedback.newest(5)


def test_something_missed_is_told_once(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo))
    (identity,) = queries.latest_of_chat(user.chat_id)
    before = feedback.count(timedelta(days=1), 1000)
    for _ in range(2):
        press(user, answer, looks.WRONG_TEXT)
        assert press(user, answer, complaints.MISSED) == complaints.THANKS
    said = feedback.of([identity])[identity]
    assert (said.missed, said.wrong) == (True, ())
    assert feedback.count(timedelta(days=1), 1000) == before + 1


def test_praise_is_kept_and_is_no_complaint(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo))
    (identity,) = queries.latest_of_chat(user.chat_id)
    assert press(user, answer, looks.RIGHT_TEXT) == complaints.THANKS
    assert feedback.of([identity])[identity].words(None) == "right"
    assert identity not in feedback.newest(50)
    assert user.message(answer.message_id) == answer


def test_empty_answer_can_be_complained_about(user: TelegramUser) -> None:
    black = BytesIO()
    Image.new("RGB", (640, 480)).save(black, "JPEG")
    answer = user.wait_for_reply(user.send_photo(black.getvalue()))
    (identity,) = queries.latest_of_chat(user.chat_id)
    assert [button.text for button in answer.buttons] == [looks.RIGHT_TEXT, looks.WRONG_TEXT]
    assert press(user, answer, looks.WRONG_TEXT) == complaints.THANKS
    assert feedback.of([identity])[identity].missed


def test_picture_wears_the_numbers_of_the_buttons() -> None:
    labels = enumerate(["dog", "cat"] * 15)
    boxes = [Detection(label, 0.9 - n / 100, 0.9 - n / 50, 0.5, 0.1, 0.1) for n, label in labels]
    prediction = Prediction("0" * 32, 1, 2, "photos/x", candidates=tuple(boxes), classes={"dog": 16, "cat": 15})
    there, drawn, options = complaints.numbered(prediction, looks.Look(25, labels=False))
    buttons = [row for rows in complaints.keyboard(prediction, looks.Look(25)) for row in rows if row.text[0].isdigit()]
    assert options.labels
    assert len(drawn) == len(buttons) == 20
    for box, button in zip(drawn, buttons, strict=True):
        number, name = button.text.split(",")[0].split(". ")
        assert (box.label, box.cx) == (number, boxes[int(button.data.split(":")[-1])].cx)
        assert there.classes[number] == prediction.classes[name]


def test_back_brings_buttons_back(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo))
    assert press(user, answer, looks.WRONG_TEXT) == ""
    assert press(user, answer, looks.BACK_TEXT) == ""
    assert user.message(answer.message_id).buttons == answer.buttons  # type: ignore[union-attr]


def test_feedback_goes_with_its_photo(stack: LocalStack, user: TelegramUser) -> None:
    prediction = answered(user, BUS)
    assert feedback.add(prediction, "0")
    predictions.delete(prediction.prediction_id)
    assert not feedback.add(prediction, "0")
    assert predictions.find_item(feedback.key(prediction.prediction_id)) is None


def test_feedback_is_bounded(user: TelegramUser) -> None:
    prediction = answered(user, BUS)
    for number in range(60):
        assert feedback.add(prediction, str(number))
    assert len(feedback.of([prediction.prediction_id])[prediction.prediction_id].wrong) == 50


@pytest.mark.parametrize("word", ["x", "2", "-1", "２", "0000", "missed "])
def test_forged_word_is_unknown(word: str) -> None:
    prediction = Prediction("0" * 32, 1, 2, "photos/x", candidates=(BUS, DOG))
    assert not complaints._known(prediction, word)


def test_every_box_has_button() -> None:
    prediction = Prediction("0" * 32, 1, 2, "photos/x", candidates=(DOG, BUS))
    look = looks.first(prediction)
    rows = complaints.keyboard(prediction, look)
    assert [button.text for row in rows for button in row] == [
        "1. bus, 90%", "2. dog, 60%", complaints.MISSED, looks.BACK_TEXT,
    ]  # fmt: skip
    for button in (button for row in rows for button in row):
        _, _, written, *word = button.data.split(":")
        assert looks.read(prediction, written) == look
        assert all(complaints._known(prediction, each) for each in word)
        assert len(button.data.encode()) <= 64


def test_item_of_many_boxes_has_few_buttons() -> None:
    boxes = tuple(Detection("bus", 0.9, number / 300, 0.5, 0.1, 0.1) for number in range(300))
    rows = complaints.keyboard(Prediction("0" * 32, 1, 2, "photos/x", candidates=boxes), looks.Look(25))
    assert sum(map(len, rows)) == 22


# --- The others ---------------------------------------------------------------------------------------------


def test_every_command_is_answered(stack: LocalStack, user: TelegramUser) -> None:
    control = TelegramControl(stack.telegram_url)
    for command in replies.COMMANDS:
        assert ask(user, f"/{command}").text not in ("", None, replies.UNKNOWN_COMMAND)
    assert ask(user, "/weather").text == replies.UNKNOWN_COMMAND
    assert all(len(each) <= 32 for each in replies.COMMANDS)
    assert control.calls(chat_id=user.chat_id)


def test_privacy_names_all_that_is_kept() -> None:
    said = replies.privacy(30)
    for word in ("30 days", "boxed copy", "logs", "35 days", "settings", "/delete_my_data"):
        assert word in said
    assert "For 1 day I" in replies.privacy(1)
