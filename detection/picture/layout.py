"""Decide what is written where: a name beside each box, a number where it has no room, and a legend for the rest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from botsite import language
from detection.picture import labels, palette, text
from detection.picture.palette import Colour
from detection.record.schemas import Detection

# Room around a label's words, in CSS pixels of a phone.
_PADDING = 2
# A name of so few letters is as short as a number, which saves nothing in its place.
_SHORT = 2


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes in a picture of this width, in its pixels, as a phone will show it."""

    width: int

    @property
    def size_of_type(self) -> int:
        """Return the size of type of labels and legend."""
        return text.size_for(self.width)

    @property
    def padding(self) -> int:
        """Return the room on each side of a label's words."""
        return self.css(_PADDING)

    def css(self, pixels: float) -> int:
        """Return how many of the picture's pixels are so many of a phone's; at least one."""
        return max(1, round(pixels * self.width / text.PHONE_WIDTH))

    def label(self, words: str) -> labels.Size:
        """Return the size of a label with these words, nothing for none."""
        if not words:
            return 0, 0
        height, width = text.mask(words, self.size_of_type).shape
        return width + 2 * self.padding, height


@dataclass(frozen=True, slots=True)
class Label:
    """Words on a ground of the class's colour; where its left upper corner is, in pixels."""

    words: str
    left: int
    top: int
    colour: Colour


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of the legend: what objects of a class without a name beside them are, "1-3, 5 person"."""

    words: str
    colour: Colour


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is drawn: boxes as (n, 4) of left, top, right and bottom in pixels, a colour for each, and the words."""

    boxes: labels.Rects
    colours: Sequence[Colour]
    labels: Sequence[Label]
    legend: Sequence[Entry]


def lay_out(detections: Sequence[Detection], classes: Mapping[str, int], width: int, height: int) -> Layout:
    """Lay out one or more objects of a photo of this size. `classes` are the numbers of the model's classes by label.

    A label that is not among them gets the colour of the class after the last. Names are in the current language, but
    where all are of one class there are no words, as the caption says which.
    """
    boxes = _in_pixels(detections, width, height)
    colours = [palette.colour(classes.get(found.label, len(classes))) for found in detections]
    detections = [replace(found, label=language.in_picture(found.label)) for found in detections]
    worded = detections[0].label.isdecimal() or len({found.label for found in detections}) > 1
    names = [_asked(found.label if worded else "", found) for found in detections]
    largest = [_asked("00", found) for found in detections] if worded else names
    scale = Scale(width)
    places = labels.place(boxes, [*map(scale.label, names)], [*map(scale.label, largest)], (width, height))
    if not worded:
        return Layout(boxes, colours, _placed(names, places, colours), ())
    return _named(detections, boxes, colours, places)


def _named(
    detections: Sequence[Detection],
    boxes: labels.Rects,
    colours: Sequence[Colour],
    found_places: Sequence[labels.Place | None],
) -> Layout:
    """Return the layout where each object has its name, its number or a part of the legend."""
    places = [
        place or (_corner(box) if len(found.label) <= _SHORT else None)
        for place, box, found in zip(found_places, boxes, detections, strict=True)
    ]
    numbers = _numbers(places, detections)
    words = [_asked(str(numbers.get(index, found.label)), found) for index, found in enumerate(detections)]
    nameless = Counter(found.label for found, place in zip(detections, places, strict=True) if not place)
    colour_of = {found.label: colour for found, colour in zip(detections, colours, strict=True)}
    legend = [Entry(entry, colour_of[label]) for label, entry in _legend(detections, numbers, nameless)]
    return Layout(boxes, colours, _placed(words, places, colours), legend)


def _asked(words: str, found: Detection) -> str:
    """Return the words with a question mark if the model is not sure."""
    return f"{words}?" if found.unsure else words


def _placed(words: Sequence[str], places: Sequence[labels.Place | None], colours: Sequence[Colour]) -> list[Label]:
    each = zip(words, places, colours, strict=True)
    return [Label(text, place.left, place.top, colour) for text, place, colour in each if text and place]


def _in_pixels(detections: Sequence[Detection], width: int, height: int) -> labels.Rects:
    centres = np.array([(found.cx, found.cy) for found in detections])
    halves = np.array([(found.width, found.height) for found in detections]) / 2
    return np.asarray((np.hstack([centres - halves, centres + halves]) * ([width, height] * 2)).round())


def _corner(box: NDArray[np.float64]) -> labels.Place:
    return labels.Place(round(box[0]), round(box[1]), number_only=True)


def _numbers(places: Sequence[labels.Place | None], detections: Sequence[Detection]) -> dict[int, int]:
    """Return the number of each object that has room for one only, by its index: class by class, left to right."""
    numbered = [
        index
        for index, (place, found) in enumerate(zip(places, detections, strict=True))
        if place and place.number_only and len(found.label) > _SHORT
    ]
    numbered.sort(key=lambda index: (detections[index].label, detections[index].cx))
    return {index: number for number, index in enumerate(numbered, 1)}


def _legend(
    detections: Sequence[Detection], numbers: Mapping[int, int], nameless: Mapping[str, int]
) -> list[tuple[str, str]]:
    """Return each label with its legend: the numbers of its objects, and how many have no number."""
    shown: dict[str, list[int]] = {label: [] for label in sorted(nameless)}
    for index, number in sorted(numbers.items(), key=lambda entry: entry[1]):
        shown.setdefault(detections[index].label, []).append(number)
    return [
        (label, f"{', '.join([*_runs(of_label), *_more(nameless.get(label, 0))])} {label}")
        for label, of_label in sorted(shown.items())
    ]


def _more(count: int) -> list[str]:
    """Return ["+2"] for two more, nothing for none."""
    return [f"+{count}"] if count else []


def _runs(numbers: Sequence[int]) -> list[str]:
    """Return ["1-3", "5"] for 1, 2, 3 and 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
