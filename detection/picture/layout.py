"""Decide what is written where: a name beside each box, a number where it has no room, and a legend for the rest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detection.picture import labels, palette, text
from detection.picture.palette import Colour
from detection.record.schemas import Detection

# Room around a label's words, in CSS pixels of a phone.
_PADDING = 2


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
        """Return the size of a label with these words."""
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

    A label that is not among them gets the colour of the class after the last.
    """
    scale, boxes = Scale(width), _in_pixels(detections, width, height)
    colours = [palette.colour(classes.get(found.label, len(classes))) for found in detections]
    names = [f"{found.label}?" if found.unsure else found.label for found in detections]
    places = labels.place(boxes, [scale.label(name) for name in names], scale.label("00"), (width, height))
    numbers = _numbers(places, detections)
    placed = [
        Label(str(numbers[index]) if place.number_only else names[index], place.left, place.top, colours[index])
        for index, place in enumerate(places)
        if place
    ]
    colour_of = {found.label: colour for found, colour in zip(detections, colours, strict=True)}
    nameless = Counter(found.label for found, place in zip(detections, places, strict=True) if not place)
    legend = [Entry(words, colour_of[label]) for label, words in _legend(detections, numbers, nameless)]
    return Layout(boxes, colours, placed, legend)


def _in_pixels(detections: Sequence[Detection], width: int, height: int) -> labels.Rects:
    centres = np.array([(found.cx, found.cy) for found in detections])
    halves = np.array([(found.width, found.height) for found in detections]) / 2
    return np.asarray((np.hstack([centres - halves, centres + halves]) * ([width, height] * 2)).round())


def _numbers(places: Sequence[labels.Place | None], detections: Sequence[Detection]) -> dict[int, int]:
    """Return the number of each object that has room for one only, by its index: class by class, left to right."""
    numbered = [index for index, place in enumerate(places) if place and place.number_only]
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
