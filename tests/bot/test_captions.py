"""A caption can ask for classes, a confidence, and how the picture looks; most captions ask for nothing."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botsite import language
from botsite.bot.words import captions, found
from deploy.local.telegram.client import TelegramUser
from detection.record import items, predictions, queries
from detection.record.choosing import UNKNOWN_AT_MOST, choose, resolve
from detection.record.schemas import EVERYTHING, Detection, Form, Options, Prediction, Unknown

PROSE = (
    "Only two days old and already sleeping like a bear",
    "Only my dog is missing here.",
    "Labels of old wine bottles",
    "She has such confidence!",
    "Back from the conf",
)
LABELS = ("person", "car", "traffic light", "dog")


def box(label: str, confidence: float = 0.9) -> Detection:
    return Detection(label, confidence, 0.5, 0.5, 0.2, 0.2)


@pytest.mark.parametrize(
    ("code", "caption", "options"),
    [
        ("de", "nur Personen", Options(only=("person",))),
        ("de", "Nur Hunde, ohne Namen, mindestens 40 %", Options(only=("dog",), least=0.4, labels=False)),
        ("de", "bitte verpixeln", Options(blur=True)),
        ("es", "Sólo personas y coches", Options(only=("person", "car"))),
        ("es", "difuminar, sin etiquetas, recortes", Options(blur=True, labels=False, form=Form.CROPS)),
        ("ru", "только люди, размыть", Options(only=("person",), blur=True)),
        ("ru", "без названий", Options(labels=False)),
        ("ar", "فقط أشخاص، تمويه", Options(only=("person",), blur=True)),
        ("en", "solo", EVERYTHING),
    ],
)
def test_options_are_read_in_their_language(code: str, caption: str, options: Options) -> None:
    with language.speaking(code):
        assert captions.read(caption) == options


@pytest.mark.parametrize(
    ("caption", "options"),
    [
        ("only person, car", Options(only=("person", "car"))),
        ("Only: People and Traffic Lights", Options(only=("people", "traffic lights"))),
        ("conf 0.4", Options(least=0.4)),
        ("confidence=40%", Options(least=0.4)),
        ("conf 12", Options(least=0.12)),
        ("labels off", Options(labels=False)),
        ("please blur the people, labels off", Options(blur=True, labels=False)),
        ("blur faces", Options(blur=True)),
        ("blur all the faces", Options(blur=True, unknown=(Unknown("all", ""),))),
        ("blur bus", Options(blur=True, unknown=(Unknown("bus", ""),))),
        ("json", Options(form=Form.JSON)),
        ("only dog, conf 0.6 blur", Options(only=("dog",), least=0.6, blur=True)),
        ("@some_bot blur", Options(blur=True)),
        ("conf 0,4", Options(least=0.4)),
        ("conf 0.4.", Options(least=0.4)),
        ("conf 0.05, only dog", Options(only=("dog",), least=0.05)),
        ("conf 12 %", Options(least=0.12)),
        ("Labels off!", Options(labels=False)),
        ("no labels", Options(labels=False)),
        ("No blur.", EVERYTHING),
        ("turn off blur, hide the labels", Options(labels=False)),
        ("don’t blur the people", EVERYTHING),
        ("no json please", EVERYTHING),
        ("crops, no json", Options(form=Form.CROPS)),
        ("no, blur it", Options(blur=True, unknown=(Unknown("it", ""),))),
        ("only the cars please", Options(only=("cars",))),
        ("only person or car", Options(only=("person", "car"))),
        ("only person.", Options(only=("person",))),
        ("only people without labels", Options(only=("people",), labels=False)),
    ],
)
def test_options_are_read(caption: str, options: Options) -> None:
    assert captions.read(caption) == options


@pytest.mark.parametrize("caption", ["", "Look at my dog!", "our trip, day 2", "x" * 1024, "only", "😀 <b>*", *PROSE])
def test_other_captions_ask_for_nothing(caption: str) -> None:
    assert captions.read(caption) == EVERYTHING


@pytest.mark.parametrize(
    ("caption", "unknown"),
    [
        ("blurr", [Unknown("blurr", "blur")]),
        ("onyl person", [Unknown("onyl", "only")]),
        ("blur, sharpen", [Unknown("sharpen", "")]),
        ("jsn conf 0.3", [Unknown("jsn", "json")]),
        ("conf", [Unknown("conf", "conf 0.4")]),
        ("conf high", [Unknown("conf high", "conf 0.4")]),
        ("conf 0.01", [Unknown("conf 0.01", "conf 0.05")]),
        ("labels of", [Unknown("labels of", "labels off")]),
        ("blur, labels", [Unknown("labels", "labels off")]),
    ],
)
def test_almost_options_are_told_with_nearest(caption: str, unknown: list[Unknown]) -> None:
    assert list(captions.read(caption).unknown) == unknown


@given(st.text(max_size=1024))
def test_anything_can_be_said(caption: str) -> None:
    options = resolve(captions.read(caption), LABELS)
    stored = Prediction("x", 1, 2, "photos/x", options=options)
    assert items.read_options(items.options(options)) == stored.options


def test_names_become_models_labels() -> None:
    options = resolve(Options(only=("people", "traffic lights", "car dog", "squid")), LABELS)
    assert options.only == ("person", "traffic light", "car", "dog")
    assert options.unknown == (Unknown("squid", ""),)


@pytest.mark.parametrize(
    ("code", "phrase", "unknown"),
    [
        ("de", "hunt", Unknown("hunt", "")),
        ("de", "Personnnn", Unknown("Personnnn", "Person")),
        ("ru", "собачцыа", Unknown("собачцыа", "собака")),
        ("en", "squid", Unknown("squid", "")),
        ("en", "quite far away", Unknown("quite far away", "")),
    ],
)
def test_nearest_is_told_in_language_of_sender(code: str, phrase: str, unknown: Unknown) -> None:
    assert resolve(Options(only=(phrase, "dog")), LABELS, code) == Options(only=("dog",), unknown=(unknown,))


def test_hostile_names_take_no_time() -> None:
    started = time.process_time()
    for caption in ("only " + "a b, " * 200, "only x " * 140, "no conf " * 128, "labels of " * 100, "1" * 1024):
        assert len(resolve(captions.read(caption), LABELS).unknown) <= UNKNOWN_AT_MOST
    assert time.process_time() - started < 1


def test_only_classes_asked_for_are_shown() -> None:
    boxes = [box("person"), box("dog", 0.5), box("dog", 0.2)]
    assert choose(boxes, EVERYTHING) == boxes[:2]
    assert choose(boxes, Options(only=("dog",))) == boxes[1:2]
    assert choose(boxes, Options(least=0.1)) == boxes
    assert choose(boxes, Options(least=0.6)) == boxes[:1]
    assert choose(boxes, resolve(Options(only=("unicorn",)), LABELS)) == boxes[:2]


def test_candidates_keep_their_places() -> None:
    boxes = [Detection("dog", 0.87, 0.123, 0.456, 0.25, 0.5), Detection("car", 0.1, 1, 0, 0.001, 1)]
    stored = items._candidates(items.candidates(boxes, {"dog": 16, "car": 2}))
    for one, other in zip(boxes, stored, strict=True):
        assert one.label == other.label
        assert one.confidence == pytest.approx(other.confidence, abs=0.002)
        assert (one.cx, one.cy, one.width, one.height) == pytest.approx(
            (other.cx, other.cy, other.width, other.height), abs=0.00001
        )


def test_three_hundred_candidates_take_four_kilobytes() -> None:
    assert len(items.candidates([box(label) for label in LABELS] * 75, {})["boxes"]) <= 3000


def test_photo_is_answered_as_its_caption_asks(user: TelegramUser, photo: bytes) -> None:
    plain = newest(user, user.send_photo(photo))
    label = plain.detections[0].label
    only = newest(user, user.send_photo(photo, caption=f"only {label}, labels off"))
    assert {each.label for each in only.detections} == {label}
    assert len(only.candidates) == len(plain.candidates) >= len(plain.detections)
    answer = user.wait_for_reply(only.message_id)
    assert answer.caption == found.caption(only.detections)


def test_unknown_words_are_told_with_answer(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo, caption="only unicorns, labels off"))
    assert "I don't know “unicorns”." in str(answer.caption)


def test_missing_classes_are_named(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo, caption="conf 1, only circle, bicycle, square"))
    assert str(answer.text).startswith("I didn't find any ")


def test_low_confidence_is_asked_of_model(user: TelegramUser, photo: bytes) -> None:
    asked = newest(user, user.send_photo(photo, caption="conf 0.05"))
    assert (asked.options.least, asked.floor_percent) == (0.05, 5)


def test_data_comes_as_file(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo, caption="json"))
    assert answer.document
    assert answer.document.file_name == "detections.json"
    data = json.loads(user.download(answer))
    assert (data["format"], data["version"]) == ("object-detection", 1)
    assert len(data["detections"]) == len(newest(user, answer.reply_to or 0).detections)


def newest(user: TelegramUser, message_id: int) -> Prediction:
    """Wait for the answer to a message; return the newest prediction of the chat."""
    user.wait_for_reply(message_id)
    prediction = predictions.find(queries.latest_of_chat(user.chat_id)[0])
    assert prediction is not None
    return prediction
