"""What was found is told in words: the counts, and a sentence for people who don't see the picture."""

import pytest

from botsite.bot.words import found
from detection.record.schemas import Detection


def box(label: str, cx: float, cy: float = 0.5, size: float = 0.2, confidence: float = 0.9) -> Detection:
    return Detection(label, confidence, cx, cy, size, size)


def dog(confidence: float) -> Detection:
    return box("dog", 0.5, confidence=confidence)


@pytest.mark.parametrize(
    ("detections", "text"),
    [
        ([box("person", 0.1), box("person", 0.9), dog(0.4)], "2 people, and perhaps a dog"),
        ([dog(0.9), dog(0.3), dog(0.3)], "1 dog, and perhaps two more"),
        ([dog(0.9), dog(0.3)], "1 dog, and perhaps one more"),
        ([dog(0.9), dog(0.3), box("cat", 0.5, confidence=0.4)], "1 dog, and perhaps a cat and a dog"),
        ([dog(0.3), box("umbrella", 0.5, confidence=0.4)], "Perhaps a dog and an umbrella"),
        ([box(label, 0.5, confidence=0.3) for label in ("bird", "cat", "dog")], "Perhaps a bird, a cat and a dog"),
        ([dog(0.5)], "1 dog"),
    ],
)
def test_sure_and_unsure_are_counted_apart(detections: list[Detection], text: str) -> None:
    assert found.counts(detections) == text


@pytest.mark.parametrize(
    ("detections", "text"),
    [
        (
            [box("person", 0.1, 0.7), box("person", 0.25, 0.7), box("bus", 0.4, 0.5, 0.5)],
            "Two people on the left, a bus behind them.",
        ),
        ([box("person", 0.5, 0.7), box("bus", 0.5, 0.5, 0.5)], "A person in the middle, a bus behind them."),
        ([box("dog", 0.5, 0.7), box("couch", 0.5, 0.5, 0.5)], "A dog in the middle, a couch behind it."),
        ([box("dog", 0.9), box("cat", 0.1)], "A cat on the left, a dog on the right."),
        (
            [box("dog", 0.5), box("cat", 0.45), box("dog", 0.55), box("car", 0.9)],
            "A cat and two dogs in the middle, a car on the right.",
        ),
        ([box("apple", 0.1 + n / 100) for n in range(9)], "Nine apples on the left."),
        ([box("apple", 0.9) for _ in range(12)], "12 apples on the right."),
        ([box("elephant", 0.3, size=0.9)], "An elephant in the middle."),
        ([box("broccoli", 0.5), dog(0.3)], "Some broccoli in the middle."),
        ([dog(0.3)], "Perhaps a dog in the middle."),
    ],
)
def test_sentence_tells_where_things_are(detections: list[Detection], text: str) -> None:
    assert found.sentence(detections) == text


def test_sentence_names_largest_groups_only() -> None:
    many = [
        box(label, 0.5, size=size) for label, size in zip("abcdefg", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.55), strict=True)
    ]
    assert found.sentence(many) == "A f, a g, an e and a d in the middle."
    assert " a in" not in found.sentence(many)


def test_caption_has_both_as_long_as_they_fit() -> None:
    assert found.caption([dog(0.9)]) == "1 dog\n\nA dog in the middle."
    many = [box(f"object number {number}", 0.5) for number in range(60)]
    assert found.caption(many) == found.counts(many)
