"""Find places for labels beside their boxes, so that they hide neither each other nor what is in other boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

# (n, 4) of left, top, right and bottom, in pixels.
Rects = NDArray[np.float64]
# Width and height, in pixels.
Size = tuple[int, int]

# A label may hide this share of a box; one with a number, which is used where a name has no place, some more.
_HIDES, _NUMBER_HIDES = 0.05, 0.25
# Hiding one's own box is not as bad as hiding another's, which would look like that one's label.
_OWN = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label's left upper corner is, in pixels, and whether it has room for a number only."""

    left: int
    top: int
    number_only: bool = False


def place(boxes: Rects, names: Sequence[Size], numbers: Sequence[Size], picture: Size) -> list[Place | None]:
    """Return a place for the label of each box, None where there is none even for a number.

    `names` are the sizes of labels with names, `numbers` those with the largest number, `picture` that of the photo.
    """
    places: list[Place | None] = [None] * len(boxes)
    taken = np.empty((0, 4))
    smallest_first = np.argsort(_areas(boxes), kind="stable")
    for number_only, most in ((False, _HIDES), (True, _NUMBER_HIDES)):
        for index in smallest_first:
            if places[index]:
                continue
            sizes = numbers if number_only else names
            found = _best(_around(boxes[index], sizes[index], picture), int(index), boxes, taken, most)
            if found is not None:
                places[index] = Place(round(found[0]), round(found[1]), number_only)
                taken = np.vstack([taken, found])
    return places


def hidden(label: Rects, boxes: Rects) -> Rects:
    """Return which share of each box (m) each label (n) hides, as (n, m)."""
    return _overlaps(label, boxes) / np.maximum(_areas(boxes), 1.0)


def _around(box: NDArray[np.float64], size: Size, picture: Size) -> Rects:
    """Return the places for a label at a box that are within the picture, the usual ones first."""
    left, top, right, bottom = box
    width, height = size
    across = (left, right - width, (left + right - width) / 2)
    down = (top, bottom - height, (top + bottom - height) / 2)
    outside = [*product(across, (top - height, bottom)), *product((right, left - width), down)]
    corners = np.array([*outside, *product(across[:2], down[:2])]).round()
    # At the edge of the picture a label is moved rather than left out.
    corners[:, 0] = corners[:, 0].clip(0, max(0, picture[0] - width))
    rects = np.hstack([corners, corners + np.array(size)])
    within = (rects[:, 1] >= 0) & (rects[:, 3] <= picture[1]) & (rects[:, 2] <= picture[0])
    return np.asarray(rects[within])


def _best(places: Rects, index: int, boxes: Rects, taken: Rects, most: float) -> NDArray[np.float64] | None:
    """Return the place that hides least, the first of several; None if each hides too much of something."""
    if not len(places):
        return None
    hides = hidden(places, boxes)
    hides[:, index] *= _OWN
    worst, total = hides.max(1), hides.sum(1)
    total[(worst > most) | (_overlaps(places, taken).sum(1) > 0)] = np.inf
    best = int(total.argmin())
    return places[best] if np.isfinite(total[best]) else None


def _overlaps(one: Rects, other: Rects) -> Rects:
    """Return the area that each of n rectangles has in common with each of m, as (n, m)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(2))


def _areas(rects: Rects) -> NDArray[np.float64]:
    return np.asarray((rects[:, 2] - rects[:, 0]) * (rects[:, 3] - rects[:, 1]))
