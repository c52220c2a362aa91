"""Draw boxes, labels and a legend into a photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detection.picture import palette, text
from detection.picture.layout import Entry, Label, Layout, Scale, lay_out
from detection.picture.palette import Colour
from detection.record.schemas import Detection

# (height, width, 3) of blue, green and red.
Pixels = NDArray[np.uint8]
# Left, top, right and bottom, in pixels.
Rect = tuple[int, int, int, int]

# A box's line and its edge, in CSS pixels of a phone; the line takes at most this share of the shorter side.
_LINE, _EDGE, _OF_SIDE = 2, 1, 0.125
# Length of a dash and of a gap, in widths of the line.
_DASH = 3
_GROUND: Colour = (28, 28, 28)
# The legend takes at most this share of the photo's height; what has no room is in the caption only.
_LEGEND_AT_MOST = 0.4
# Labels that are kept as they are drawn, a dozen kilobytes each: a busy worker draws the same few all day.
_KEPT = 128


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
        colour = layout.colours[index]
        # Whatever is behind the box, it is unlike the line or unlike its edge, which is black or white.
        for thickness, ink in ((line + edge, palette.ink(colour)), (line, colour)):
            dash = _DASH * line if detections[index].unsure else None
            _outline(rows, (left, top - above, right, bottom - above), thickness, ink, dash)


def _outline(image: Pixels, rect: Rect, thickness: int, ink: Colour, dash: int | None) -> None:
    left, top, right, bottom = rect
    for across in ((left, top, right, top + thickness), (left, bottom - thickness, right, bottom)):
        area = _within(image, across)
        if dash is None:
            _fill(area, ink)
        else:
            area[:, _dashes(left, area.shape[1], dash)] = ink
    for down in ((left, top, left + thickness, bottom), (right - thickness, top, right, bottom)):
        area = _within(image, down)
        if dash is None:
            _fill(area, ink)
        else:
            area[_dashes(top, area.shape[0], dash)] = ink


def _dashes(start: int, length: int, dash: int) -> NDArray[np.bool_]:
    """Return which pixels of a line in the image are in a dash. A negative `start` is outside the image."""
    return np.asarray((np.arange(length) - min(start, 0)) // dash % 2 == 0)


def _draw_label(rows: Pixels, label: Label, scale: Scale, above: int) -> None:
    top, height = label.top - above, scale.label(label.words)[1]
    if top + height > 0 and top < len(rows):
        drawn = _kept_label if scale.size_of_type <= text.KEPT_SIZE else _label
        _lay(rows, drawn(label.words, label.colour, scale), (label.left, top))


def _label(words: str, colour: Colour, scale: Scale) -> Pixels:
    return _tile(words, palette.ink(colour), colour, scale)


_kept_label = lru_cache(_KEPT)(_label)


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
            _fill(_within(strip, (left, above, left + swatch, above + swatch)), entry.colour)
            _lay(strip, _tile(entry.words, palette.WHITE, _GROUND, scale), (left + swatch, top))
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


def _within(image: Pixels, rect: Rect) -> Pixels:
    left, top, right, bottom = (max(0, edge) for edge in rect)
    return image[top:bottom, left:right]


def _fill(area: Pixels, colour: Colour) -> None:
    # A row at a time; a colour alone would be copied three bytes at a time.
    area[:] = np.full((area.shape[1], 3), colour, np.uint8)


def _lay(image: Pixels, tile: Pixels, corner: tuple[int, int]) -> None:
    """Copy a tile into the image, as far as it is within: a number of three digits is wider than its place."""
    left, top = corner
    tile, top = tile[max(0, -top) :], max(0, top)
    area = image[top : top + tile.shape[0], left : left + tile.shape[1]]
    area[:] = tile[: area.shape[0], : area.shape[1]]


def _tile(words: str, ink: Colour, ground: Colour, scale: Scale) -> Pixels:
    """Return words as they are laid over a ground, with room on both sides."""
    mask = text.mask(words, scale.size_of_type)
    share = np.pad(mask, ((0, 0), (scale.padding, scale.padding)))[..., None].astype(np.uint16)
    behind, before = np.array(ground, np.uint16), np.array(ink, np.uint16)
    return np.asarray((behind * (255 - share) + before * share + 127) // 255, np.uint8)
