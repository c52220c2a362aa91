"""More or less of a photo is shown from its stored boxes, and a button says how much."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from botsite.bot.buttons import looks
from botsite.bot.buttons.looks import Look
from deploy.local.telegram.client import TelegramUser
from detection.model import yolo
from detection.picture import pixels
from detection.record import items
from detection.record.schemas import Detection, Prediction

LEVEL = re.compile(r"(Show|Hide) (\d+)( more)?")
DOG = Detection("dog", 0.2, 0.7, 0.5, 0.2, 0.4)
ANSWERED = Prediction("0" * 32, 1, 2, "photos/x", detections=(DOG,), candidates=(DOG,), classes={"dog": 16})
BOXES = st.builds(replace, st.just(DOG), label=st.sampled_from(["dog", "person"]), confidence=st.floats(0.05, 1))


def levels(prediction: Prediction, look: Look) -> dict[str, Look]:
    """Return what each level button says, and the look that it leads to."""
    buttons = [button for row in looks.keyboard(prediction, look) for button in row]
    read = {button.text: looks.read(prediction, button.data.split(":")[2]) for button in buttons}
    return {text: to for text, to in read.items() if to and LEVEL.fullmatch(text)}


@given(
    st.lists(BOXES, max_size=12),
    st.integers(1, 99),
    st.sampled_from(["", "dog"]),
    st.sampled_from([None, 5]),
)
def test_each_level_changes_what_is_shown_by_its_number(
    boxes: list[Detection], least: int, only: str, floor: int | None
) -> None:
    prediction = replace(ANSWERED, candidates=(DOG, *boxes), floor_percent=floor)
    look = Look(least, only)
    now = len(looks.shown(prediction, look))
    for text, to in levels(prediction, look).items():
        then = len(looks.shown(prediction, to))
        assert text == (f"Show {then - now} more" if then > now else f"Hide {now - then}")
        assert then != now
        assert then > 0


@given(st.lists(BOXES, min_size=1, max_size=12))
def test_all_candidates_can_be_shown(boxes: list[Detection]) -> None:
    prediction = replace(ANSWERED, candidates=tuple(boxes), floor_percent=5)
    look = Look(99)
    while more := [to for text, to in levels(prediction, look).items() if text.startswith("Show")]:
        (look,) = more
    assert looks.shown(prediction, look) == boxes


def test_level_is_absent_where_nothing_would_change() -> None:
    sure = replace(DOG, confidence=0.95)
    assert levels(replace(ANSWERED, candidates=(sure,)), Look(25)) == {}
    assert levels(replace(ANSWERED, candidates=(sure, DOG)), Look(25)) == {"Show 1 more": Look(15)}
    assert levels(replace(ANSWERED, candidates=()), Look(25)) == {}


def test_labels_are_switched_only_where_there_are_some() -> None:
    sure, person = replace(DOG, confidence=0.95), replace(DOG, label="person", confidence=0.95)
    for candidates, switched in (((sure, sure), False), ((sure, person), True), ((DOG, sure), True), ((), False)):
        rows = looks.more_buttons(replace(ANSWERED, detections=(), candidates=candidates), Look(15))
        assert any("abels" in button.text for row in rows for button in row) is switched


def test_level_edits_the_same_message(user: TelegramUser, photo: bytes) -> None:
    answer = user.wait_for_reply(user.send_photo(photo, caption="conf 0.9"))
    before = answer
    while more := [button for button in before.buttons if LEVEL.fullmatch(button.text)]:
        assert user.wait_for_answer(user.press(answer.message_id, str(more[0].data))).text == ""
        after = user.message(answer.message_id)
        assert after
        assert after.caption != before.caption
        before = after
        if not more[0].text.startswith("Show"):
            break
    assert before is not answer
    assert len([message for message in user.messages() if message.from_bot]) == 1


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
