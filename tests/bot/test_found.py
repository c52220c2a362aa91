"""What was found is told in words: the counts, and a sentence for people who don't see the picture."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botsite.bot.words import found
from detection.record.schemas import Detection


def box(label: str, cx: float, cy: float = 0.5, size: float = 0.2, confidence: float = 0.9) -> Detection:
    return Detection(label, confidence, cx, cy, size, size)


def dog(confidence: float) -> Detection:
    return box("dog", 0.5, confidence=confidence)


BUS = box("bus", 0.5)
LABELS = ("dog", "cat", "bus", "apple", "bottle")
KNOWN = ("dog", "cat", "bus", "appl", "bottl", "apple", "bottle")


@pytest.mark.parametrize(
    ("detections", "text"),
    [
        ([box("person", 0.1), box("person", 0.9), dog(0.4)], "2 people, maybe 1 dog"),
        ([*[box("person", 0.1)] * 3, box("person", 0.1, confidence=0.3), BUS], "3 or 4 people, 1 bus"),
        ([dog(0.9), dog(0.3), dog(0.3)], "1 to 3 dogs"),
        ([dog(0.9), dog(0.3), box("cat", 0.5, confidence=0.4)], "1 or 2 dogs, maybe 1 cat"),
        ([dog(0.3), dog(0.3), box("umbrella", 0.5, confidence=0.4)], "Maybe 2 dogs and 1 umbrella"),
        ([box(label, 0.5, confidence=0.3) for label in ("bird", "cat", "dog")], "Maybe 1 bird, 1 cat and 1 more"),
        (
            [BUS, *[dog(0.3)] * 5, *[box(label, 0.5, confidence=0.3) for label in "abccc"]],
            "1 bus, maybe 5 dogs, 3 cs and 2 more",
        ),
        ([dog(0.5)], "1 dog"),
    ],
)
def test_sure_and_unsure_are_counted_together(detections: list[Detection], text: str) -> None:
    assert found.counts(detections) == text


@given(st.lists(st.builds(box, st.sampled_from(LABELS), st.just(0.5), confidence=st.floats(0.1, 1)), min_size=1))
def test_no_class_is_named_twice_and_numbers_have_one_style(detections: list[Detection]) -> None:
    text = found.counts(detections)
    named = Counter(word for word in re.findall(r"[a-z]+", text) if word.removesuffix("s").removesuffix("e") in KNOWN)
    assert [word for word, times in named.items() if times > 1] == []
    assert not re.search(r"\b(a|an|one|two|three|four|five)\b", text)
    doubtful = text.partition("erhaps ")[2]
    assert len(re.findall(r"\d+ (?!more)", doubtful)) <= 2


@given(st.lists(st.builds(box, st.sampled_from(LABELS), st.floats(0, 1), confidence=st.floats(0.1, 1)), min_size=1))
def test_sentence_names_every_class(detections: list[Detection]) -> None:
    text = found.sentence(detections)
    assert [box.label for box in detections if box.label not in text] == []


@pytest.mark.parametrize(
    ("detections", "text"),
    [
        (
            [box("person", 0.1, 0.7), box("person", 0.25, 0.7), box("bus", 0.4, 0.5, 0.5)],
            "2 people on the left, 1 bus behind them.",
        ),
        ([box("person", 0.5, 0.7), box("bus", 0.5, 0.5, 0.5)], "1 person in the middle, 1 bus behind them."),
        ([box("dog", 0.5, 0.7), box("couch", 0.5, 0.5, 0.5)], "1 dog in the middle, 1 couch behind it."),
        ([box("dog", 0.9), box("cat", 0.1)], "1 cat on the left, 1 dog on the right."),
        (
            [box("dog", 0.5), box("cat", 0.45), box("dog", 0.55), box("car", 0.9)],
            "1 cat and 2 dogs in the middle, 1 car on the right.",
        ),
        ([box("apple", 0.1 + n / 100) for n in range(9)], "9 apples on the left."),
        ([box("elephant", 0.3, size=0.9)], "1 elephant in the middle."),
        ([box("cat", 0.5), box("dog", 0.9, confidence=0.3)], "1 cat in the middle, maybe 1 dog on the right."),
        ([dog(0.9), dog(0.3)], "1 dog in the middle."),
        ([dog(0.3)], "Maybe 1 dog in the middle."),
    ],
)
def test_sentence_tells_where_things_are(detections: list[Detection], text: str) -> None:
    assert found.sentence(detections) == text


def test_caption_says_where_only_if_asked_and_as_long_as_it_fits() -> None:
    assert found.caption([dog(0.9)]) == "1 dog"
    assert found.caption([dog(0.9)], where=True) == "1 dog\n\n1 dog in the middle."
    many = [box(f"object number {number}", 0.5) for number in range(60)]
    assert found.caption(many, where=True) == found.counts(many)
