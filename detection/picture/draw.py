"""Draw boxes, labels and a legend into a photo."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detection.picture import palette, text
from detection.picture.layout import Entry, Label, Layout, Scale, lay_out
from detection.picture.palette import Colour
from detection.schemas import Detection

# (height, width, 3) of blue, green and red.
Pixels = NDArray[np.uint8]
# Left, top, right and bottom, in pixels.
Rect = tuple[int, int, int, int]

# A box's line and its dark edge, in CSS pixels of a phone; both together take at most this share of the shorter side.
_LINE, _EDGE, _OF_SIDE = 1.2, 0.5, 0.125
# Length of a dash and of a gap, in widths of the line.
_DASH = 3
_GROUND: Colour = (28, 28, 28)
# The legend takes at most this share of the photo's height; what has no room is in the caption only.
_LEGEND_AT_MOST = 0.4


def draw(
    image: Pixels, detections: Sequence[Detection], classes: Mapping[str, int], *, labelled: bool = True
) -> Pixels:
    """Draw into a photo; return it, taller by a legend if there are objects without room for their name.

    `classes` are the numbers of the model's classes by label.
    """
    if not detections:
        return image
    height, width = image.shape[:2]
    scale, layout = Scale(width), lay_out(detections, classes, width, height)
    _draw_boxes(image, detections, layout, scale)
    if not labelled:
        return image
    for label in layout.labels:
        _draw_label(image, label, scale)
    if not layout.legend:
        return image
    return np.vstack([image, _legend(layout.legend, scale, round(height * _LEGEND_AT_MOST))])


def _draw_boxes(image: Pixels, detections: Sequence[Detection], layout: Layout, scale: Scale) -> None:
    """Draw the largest first, so that what is in front is on top."""
    areas = (layout.boxes[:, 2:] - layout.boxes[:, :2]).prod(1)
    for index in np.argsort(-areas, kind="stable"):
        left, top, right, bottom = (int(edge) for edge in layout.boxes[index])
        thickest = max(2, int(min(right - left, bottom - top) * _OF_SIDE))
        line, edge = min(scale.css(_LINE), thickest), min(scale.css(_EDGE), thickest // 2)
        # A dark edge tells the line from whatever is behind it.
        for thickness, ink in ((line + edge, palette.BLACK), (line, layout.colours[index])):
            dash = _DASH * line if detections[index].unsure else None
            _outline(image, (left, top, right, bottom), thickness, ink, dash)


def _outline(image: Pixels, rect: Rect, thickness: int, ink: Colour, dash: int | None) -> None:
    left, top, right, bottom = rect
    for across in ((left, top, right, top + thickness), (left, bottom - thickness, right, bottom)):
        for start in range(left, right, 2 * dash) if dash else [left]:
            _fill(image, (start, across[1], min(start + dash, right) if dash else right, across[3]), ink)
    for down in ((left, top, left + thickness, bottom), (right - thickness, top, right, bottom)):
        for start in range(top, bottom, 2 * dash) if dash else [top]:
            _fill(image, (down[0], start, down[2], min(start + dash, bottom) if dash else bottom), ink)


def _draw_label(image: Pixels, label: Label, scale: Scale) -> None:
    width, height = scale.label(label.words)
    _fill(image, (label.left, label.top, label.left + width, label.top + height), label.colour)
    _write(image, label.words, (label.left + scale.padding, label.top), palette.ink(label.colour), scale)


def _legend(entries: Sequence[Entry], scale: Scale, at_most: int) -> Pixels:
    """Return the entries in rows as wide as the picture and together about so high, a swatch before each."""
    height, gap = scale.label("0")[1], 3 * scale.padding
    swatch = height // 2
    rows = _rows(entries, scale, gap, swatch)[: max(1, (at_most - gap) // height)]
    strip = np.full((len(rows) * height + gap if rows else 0, scale.width, 3), _GROUND, np.uint8)
    for number, row in enumerate(rows):
        top = number * height + gap // 2
        for entry, left in row:
            above = top + (height - swatch) // 2
            _fill(strip, (left, above, left + swatch, above + swatch), entry.colour)
            _write(strip, entry.words, (left + swatch + scale.padding, top), palette.WHITE, scale)
    return strip


def _rows(entries: Sequence[Entry], scale: Scale, gap: int, swatch: int) -> list[list[tuple[Entry, int]]]:
    """Return the entries with their left edges, row by row; without those that are wider than the picture."""
    rows: list[list[tuple[Entry, int]]] = []
    left = scale.width
    for entry in entries:
        width = swatch + scale.label(entry.words)[0]
        if gap + width > scale.width:
            continue
        if left + width > scale.width:
            rows.append([])
            left = gap
        rows[-1].append((entry, left))
        left += width + gap
    return rows


def _fill(image: Pixels, rect: Rect, colour: Colour) -> None:
    left, top, right, bottom = (max(0, edge) for edge in rect)
    image[top:bottom, left:right] = colour


def _write(image: Pixels, words: str, corner: tuple[int, int], colour: Colour, scale: Scale) -> None:
    """Lay words over the pixels, as far as they are within the image."""
    left, top = corner
    ink = text.mask(words, scale.size_of_type)
    ground = image[top : top + ink.shape[0], left : left + ink.shape[1]]
    share = ink[: ground.shape[0], : ground.shape[1], None].astype(np.uint16)
    ground[:] = ((ground * (255 - share) + np.array(colour, np.uint16) * share + 127) // 255).astype(np.uint8)
