"""The picture that answers a photo can be read on a phone, by the colour-blind too, and hides little of the photo."""

from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from botsite import language
from detection.picture import labels, palette, text
from detection.picture.draw import draw
from detection.picture.layout import Layout, Scale, lay_out
from detection.picture.palette import Colour
from detection.record.schemas import Detection
from tests.shapes_model.draw import LABELS, draw_photo

GOLDEN = Path(__file__).parents[1] / "fixtures" / "pictures"
CLASSES = {label: number for number, label in enumerate(("person", "bicycle", "car", "dog", "bus"))}
# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
# severity 1.0: linear red, green and blue as they are seen.
VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)]
    ),
    "deuteranopia": np.array(
        [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)]
    ),
    "tritanopia": np.array(
        [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)]
    ),
}
SIZES = st.sampled_from([(1280, 960), (960, 1280), (640, 480), (1280, 320)])


@st.composite
def objects(draw: st.DrawFn) -> list[Detection]:
    """Return up to 30 boxes within the picture."""
    found = []
    for _ in range(draw(st.integers(1, 30))):
        width, height = (draw(st.floats(0.01, 1)) for _ in range(2))
        cx, cy = (draw(st.floats(side / 2, 1 - side / 2)) for side in (width, height))
        confidence = draw(st.floats(0.25, 1))
        found.append(Detection(draw(st.sampled_from(sorted(CLASSES))), confidence, cx, cy, width, height))
    return found


@given(objects(), SIZES)
def test_numbers_for_names_are_all_drawn(found: list[Detection], size: tuple[int, int]) -> None:
    numbered = [replace(box, label=str(number), confidence=0.9) for number, box in enumerate(found, 1)]
    layout = lay_out(numbered, {}, *size)
    assert [label.words for label in layout.labels] == [box.label for box in numbered]
    assert not layout.legend


def test_class_has_one_colour_in_every_photo() -> None:
    person, dog = (Detection(label, 0.9, 0.5, 0.5, 0.2, 0.2) for label in ("person", "dog"))
    alone, beside = lay_out([person], CLASSES, 640, 480), lay_out([dog, person], CLASSES, 640, 480)
    assert alone.colours[0] == beside.colours[1] != beside.colours[0]


@pytest.mark.parametrize("number", range(7))
def test_words_stand_out_from_their_ground(number: int) -> None:
    ground = palette.colour(number)
    assert palette.contrast(palette.ink(ground), ground) >= 4.5


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart_with_any_colour_vision(vision: str) -> None:
    seen = [_lab(palette.colour(number), VISION[vision]) for number in range(7)]
    # Twice what is just noticeable, five times over.
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) > 10


@pytest.mark.parametrize("width", [320, 390, 640, 960, 1280])
def test_capital_is_eleven_pixels_high_on_phone(width: int) -> None:
    letter = text.mask("H", text.size_for(width))
    inked = np.flatnonzero((letter > 127).any(1))
    assert (inked[-1] - inked[0] + 1) * text.PHONE_WIDTH / width >= 11


@given(objects(), SIZES)
def test_labels_hide_neither_each_other_nor_small_objects(found: list[Detection], size: tuple[int, int]) -> None:
    layout = lay_out(found, CLASSES, *size)
    rects = _rects(layout, size[0])
    assert not any(_common(one, other) for one, other in combinations(rects, 2))
    if len(rects):
        assert labels.hidden(rects, layout.boxes).max() <= 0.5
        assert rects.min() >= 0
        assert (rects[:, 2:] <= size).all()


@pytest.mark.slow
@given(objects(), SIZES)
def test_every_object_is_named_or_in_legend(found: list[Detection], size: tuple[int, int]) -> None:
    assume(len({box.label for box in found}) > 1)
    layout = lay_out(found, CLASSES, *size)
    named = [label.words for label in layout.labels if not label.words.rstrip("?").isdigit()]
    legend = [_counted(entry.words) for entry in layout.legend]
    for label in CLASSES:
        beside = sum(words.rstrip("?") == label for words in named)
        assert beside + sum(count for name, count in legend if name == label) == sum(
            box.label == label for box in found
        )


@pytest.mark.slow
def test_fifty_photos_lose_little_to_labels() -> None:
    hidden, overlapping, nameless = [], 0, 0
    for seed in range(50):
        photo = draw_photo(seed, objects=2 + seed % 15)
        found = [Detection(shape.label, 0.9, shape.cx, shape.cy, shape.width, shape.height) for shape in photo.shapes]
        if len({box.label for box in found}) == 1:
            continue
        layout = lay_out(found, {label: number for number, label in enumerate(LABELS)}, *photo.image.size)
        rects = _rects(layout, photo.image.width)
        hidden.append(labels.hidden(rects, layout.boxes).sum(0))
        overlapping += sum(_common(one, other) > 0 for one, other in combinations(rects, 2))
        nameless += len(found) - len(rects)
    shares = np.concatenate(hidden)
    assert overlapping == 0
    assert shares.mean() < 0.02
    assert nameless < 0.01 * len(shares)


def test_unsure_box_is_dashed_and_asked() -> None:
    sure, unsure = (Detection("dog", confidence, 0.5, 0.5, 0.6, 0.6) for confidence in (0.5, 0.49))
    coloured = [
        (_plain(640, 480, drawn)[int(0.2 * 480) + 1, 150:500] == palette.colour(CLASSES["dog"])).all(1).mean()
        for drawn in ([sure], [unsure])
    ]
    assert coloured[0] == 1
    assert 0.4 < coloured[1] < 0.6
    person = Detection("person", 0.9, 0.1, 0.5, 0.1, 0.6)
    assert [_words([person, box]) for box in (sure, unsure)] == [["dog", "person"], ["dog?", "person"]]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("en", ["dog", "skis"]),
        ("de", ["Hund", "Paar Ski"]),
        ("ru", ["пара лыж", "собака"]),
        # The font has no Arabic letters.
        ("ar", ["dog", "skis"]),
    ],
)
def test_names_are_in_the_senders_language(code: str, names: list[str]) -> None:
    found = [Detection(label, 0.9, cx, 0.5, 0.2, 0.6) for label, cx in (("dog", 0.2), ("skis", 0.7))]
    with language.speaking(code):
        assert _words(found) == names
        assert Counter(_words([*found, *found])).keys() >= set(names)


@pytest.mark.parametrize("code", ["es", "de", "ru"])
def test_font_has_all_letters_of_names(code: str) -> None:
    missing = text.mask("\uffff", 24)
    with language.speaking(code):
        letters = {letter for label in language.NAMED for letter in language.in_picture(label)}
    assert [letter for letter in letters if np.array_equal(text.mask(letter, 24), missing)] == []


def test_objects_of_one_class_have_no_words() -> None:
    assert _words([replace(box, label="person") for box in _crowd()]) == []
    alone, unsure = (Detection("cat", confidence, 0.5, 0.5, 0.6, 0.6) for confidence in (0.9, 0.3))
    assert _words([alone]) == []
    assert _words([replace(unsure, cx=0.4), alone]) == ["?"]


def test_objects_without_room_for_name_are_numbered() -> None:
    layout = lay_out(_crowd(), CLASSES, 640, 480)
    numbers = sorted(int(label.words) for label in layout.labels if label.words.isdigit())
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))
    assert sum(_counted(entry.words)[1] for entry in layout.legend) >= len(numbers)


def test_number_of_unsure_box_is_asked() -> None:
    unsure = {number: replace(box, confidence=0.3) for number, box in enumerate(_crowd()) if number % 2}
    found = [unsure.get(number, box) for number, box in enumerate(_crowd())]
    asked = lay_out(found, CLASSES, 640, 480).labels
    assert any(label.words.rstrip("?").isdigit() and label.words.endswith("?") for label in asked)
    assert sum(label.words.endswith("?") for label in asked) <= len(unsure)
    assert not any(label.words.endswith("?") for label in lay_out(_crowd(), CLASSES, 640, 480).labels)


@pytest.mark.parametrize("size", [(640, 480), (1280, 960)])
def test_lines_are_seen_on_any_ground(size: tuple[int, int]) -> None:
    """Twice what is just noticeable, ten times over, in a picture as wide as a phone."""
    width, height = size
    grounds: list[Colour] = [(b, g, r) for b, g, r in product(range(0, 256, 51), repeat=3)]
    for number, label in enumerate(CLASSES):
        for ground in [*grounds, palette.colour(number)]:
            image = np.full((height // 8, width, 3), ground, np.uint8)
            drawn = draw(image, [Detection(label, 0.9, 0.5, 0.5, 0.5, 0.8)], CLASSES)
            phone = cv2.resize(drawn, None, fx=390 / width, fy=390 / width, interpolation=cv2.INTER_AREA)
            across = phone[len(phone) // 2, 85:120]
            behind = _lab(ground, VISION["usual"])
            assert max(np.linalg.norm(_lab(seen, VISION["usual"]) - behind) for seen in np.unique(across, axis=0)) > 23


def test_photo_without_objects_stays_as_it_is() -> None:
    assert (_plain(64, 48, []) == 200).all()


def test_label_of_unknown_class_or_letters_is_drawn() -> None:
    found = [Detection("собака", 0.9, 0.5, 0.5, 0.5, 0.5), Detection("狗", 0.9, 0.1, 0.5, 0.1, 0.5)]
    assert len(lay_out(found, CLASSES, 640, 480).labels) == 2
    assert (_plain(640, 480, found) != 200).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (700, 3), (40, 30)])
def test_tiny_pictures_are_drawn(size: tuple[int, int]) -> None:
    _plain(*size, [Detection("person", 0.9, 0.5, 0.5, 1, 1), Detection("dog", 0.3, 0.1, 0.1, 0.1, 0.1)])


@pytest.mark.parametrize("name", ["two", "crowd"])
def test_picture_is_as_golden_one(name: str) -> None:
    golden = cv2.imread(str(GOLDEN / f"{name}.png"))
    assert golden is not None
    drawn = picture(name)
    assert drawn.shape == golden.shape
    assert np.abs(drawn.astype(int) - golden).mean() < 0.5


def picture(name: str) -> np.ndarray:
    """Draw a golden picture; run this file to write them anew, and look at them."""
    pair = [Detection("person", 0.9, 0.3, 0.55, 0.2, 0.7), Detection("dog", 0.4, 0.65, 0.75, 0.3, 0.3)]
    return _plain(640, 480, pair if name == "two" else _crowd())


def _crowd() -> list[Detection]:
    """Return people in two dense rows, cars behind them, and a bus behind it all."""
    rows = [Detection("person", 0.9, 0.1 + 0.05 * n, 0.6 + n % 2 * 0.1, 0.045, 0.2) for n in range(17)]
    cars = [Detection("car", 0.7, 0.2 + 0.12 * n, 0.42, 0.11, 0.12) for n in range(6)]
    return [*rows, *cars, Detection("bus", 0.8, 0.5, 0.35, 0.7, 0.4)]


def _plain(width: int, height: int, found: list[Detection]) -> np.ndarray:
    return draw(np.full((height, width, 3), 200, np.uint8), found, CLASSES)


def _words(found: list[Detection]) -> list[str]:
    layout = lay_out(found, CLASSES, 640, 480)
    assert len({box.label for box in found}) > 1 or not layout.legend
    return sorted(label.words for label in layout.labels)


def _rects(layout: Layout, width: int) -> labels.Rects:
    sizes = [Scale(width).label(label.words) for label in layout.labels]
    rects = [
        (place.left, place.top, place.left + w, place.top + h)
        for place, (w, h) in zip(layout.labels, sizes, strict=True)
    ]
    return np.array(rects, float).reshape(-1, 4)


def _common(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0).prod())


def _counted(words: str) -> tuple[str, int]:
    """Return the label and how many objects of it the legend tells of: "1-3, 5, +2 person" are six."""
    numbers, label = words.rsplit(" ", 1)
    count = 0
    for part in numbers.split(", "):
        first, _, last = part.partition("-")
        count += int(part) if part.startswith("+") else int(last or first) - int(first) + 1
    return label, count


def _lab(colour: Colour, vision: np.ndarray) -> np.ndarray:
    """Return a colour as it is seen, in CIE L*a*b*."""
    blue, green, red = (part / 255 for part in colour)
    rgb = np.array([red, green, blue])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)]) @ (
        vision @ linear
    ).clip(0, 1)
    x, y, z = np.cbrt(np.maximum(xyz / (0.9505, 1, 1.089), 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for golden_name in ("two", "crowd"):
        cv2.imwrite(str(GOLDEN / f"{golden_name}.png"), picture(golden_name))
