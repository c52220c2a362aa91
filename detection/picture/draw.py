"""Draw boxes, labels and a legend into a photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn into a photo of this size; it can be drawn a strip at a time."""

    detections: Sequence[Detection]
    layout: Layout
    scale: Scale
    height: int
    labelled: bool

    def onto(self, rows: Pixels, top: int = 0) -> None:
        """Draw into the photo's rows from `top` on, in place."""
        _draw_boxes(rows, self.detections, self.layout, self.scale, top)
        if self.labelled:
            for label in self.layout.labels:
                _draw_label(rows, label, self.scale, top)

    def legend(self) -> Pixels | None:
        """Return what belongs below the photo, None if every object has room for its name."""
        if not (self.labelled and self.layout.legend):
            return None
        return _legend(self.layout.legend, self.scale, round(self.height * _LEGEND_AT_MOST))


def plan(
    detections: Sequence[Detection], classes: Mapping[str, int], width: int, height: int, *, labelled: bool = True
) -> Drawing:
    """Return how one or more objects are drawn. `classes` are the numbers of the model's classes by label."""
    return Drawing(detections, lay_out(detections, classes, width, height), Scale(width), height, labelled)


def draw(
    image: Pixels, detections: Sequence[Detection], classes: Mapping[str, int], *, labelled: bool = True
) -> Pixels:
    """Draw into a photo; return it, taller by a legend if there are objects without room for their name."""
    if not detections:
        return image
    height, width = image.shape[:2]
    drawing = plan(detections, classes, width, height, labelled=labelled)
    drawing.onto(image)
    legend = drawing.legend()
    return image if legend is None else np.vstack([image, legend])


def _draw_boxes(rows: Pixels, detections: Sequence[Detection], layout: Layout, scale: Scale, above: int) -> None:
    """Draw the largest first, so that what is in front is on top. `above` is how many rows come before these."""
    areas = (layout.boxes[:, 2:] - layout.boxes[:, :2]).prod(1)
    for index in np.argsort(-areas, kind="stable"):
        left, top, right, bottom = (int(edge) for edge in layout.boxes[index])
        if bottom < above or top > above + len(rows):
            continue
        thickest = max(2, int(min(right - left, bottom - top) * _OF_SIDE))
        line, edge = min(scale.css(_LINE), thickest), min(scale.css(_EDGE), thickest // 2)
        # A dark edge tells the line from whatever is behind it.
        for thickness, ink in ((line + edge, palette.BLACK), (line, layout.colours[index])):
            dash = _DASH * line if detections[index].unsure else None
            _outline(rows, (left, top - above, right, bottom - above), thickness, ink, dash)


def _outline(image: Pixels, rect: Rect, thickness: int, ink: Colour, dash: int | None) -> None:
    left, top, right, bottom = rect
    for across in ((left, top, right, top + thickness), (left, bottom - thickness, right, bottom)):
        if across[3] < 0 or across[1] > len(image):
            continue
        for start in range(left, right, 2 * dash) if dash else [left]:
            _fill(image, (start, across[1], min(start + dash, right) if dash else right, across[3]), ink)
    for down in ((left, top, left + thickness, bottom), (right - thickness, top, right, bottom)):
        for start in range(top, bottom, 2 * dash) if dash else [top]:
            _fill(image, (down[0], start, down[2], min(start + dash, bottom) if dash else bottom), ink)


def _draw_label(rows: Pixels, label: Label, scale: Scale, above: int) -> None:
    width, height = scale.label(label.words)
    top = label.top - above
    if top + height > 0 and top < len(rows):
        _fill(rows, (label.left, top, label.left + width, top + height), label.colour)
        _write(rows, label.words, (label.left + scale.padding, top), palette.ink(label.colour), scale)


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
    ink = text.mask(words, scale.size_of_type)[max(0, -top) :]
    top = max(0, top)
    ground = image[top : top + ink.shape[0], left : left + ink.shape[1]]
    share = ink[: ground.shape[0], : ground.shape[1], None].astype(np.uint16)
    ground[:] = ((ground * (255 - share) + np.array(colour, np.uint16) * share + 127) // 255).astype(np.uint8)
