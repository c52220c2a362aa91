"""Make people unrecognisable: hide the part of each person's box in which the head is."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.record.schemas import Detection

# (height, width, 3).
Pixels = NDArray[np.uint8]
# A person is so many blocks high or wide, a head fewer: no face can be told, nor computed back from so few.
_BLOCKS = 10
# The head of somebody who stands is in the top quarter; of the bust of a portrait, it takes more. Whoever lies or bends
# may have it anywhere, and such a box is as wide as it is high.
_LEAST_SHARE = 0.25


def blur(image: Pixels, boxes: Sequence[Detection]) -> None:
    """Replace the heads in the boxes by blocks of their mean colours, in place. The image is (height, width, 3)."""
    height, width = image.shape[:2]
    for block in blocks(image, boxes, width, height):
        block.fill(image)


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of one colour, in pixels."""

    left: int
    top: int
    right: int
    bottom: int
    colour: NDArray[np.uint8]

    def fill(self, rows: Pixels, above: int = 0) -> None:
        """Fill it in, as far as it is in these rows; `above` is how many rows come before them."""
        rows[max(0, self.top - above) : max(0, self.bottom - above), self.left : self.right] = self.colour


def blocks(image: Pixels, boxes: Sequence[Detection], width: int, height: int) -> list[Block]:
    """Return the blocks for a picture of this size, with the colours of an image that may be smaller."""
    return [block for box in boxes for block in _blocks(image, box, width, height)]


def _blocks(image: Pixels, box: Detection, width: int, height: int) -> Iterator[Block]:
    down, across = image.shape[0] / height, image.shape[1] / width
    left, right = (int(np.clip((box.cx + side * box.width / 2) * width, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip((box.cy + side * box.height / 2) * height, 0, height)) for side in (-1, 1))
    step = max(1, -(-max(right - left, bottom - top) // _BLOCKS))
    bottom = min(bottom, top + max(right - left, math.ceil((bottom - top) * _LEAST_SHARE)))
    for y in range(top, bottom, step):
        for x in range(left, right, step):
            end_y, end_x = min(y + step, bottom), min(x + step, right)
            part = image[int(y * down) : math.ceil(end_y * down), int(x * across) : math.ceil(end_x * across)]
            yield Block(x, y, end_x, end_y, part.mean((0, 1)).astype(np.uint8))
