"""Lay a photo into an input of the model, on grey, and find boxes in the photo again.

A phone's photo in a square input is a quarter grey, which costs as much as the photo: where the model can take other
shapes, a photo gets the smallest that it fits into.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Height and width, in pixels.
Size = tuple[int, int]

_STRIDE = 32  # The sides of an input are multiples of this.
_GREY = 114
# A photo that is a little too long for a shape is made so much smaller: many phones' 4:3 is 4080 x 3072.
_SLACK = 0.01


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in the model's input: scale and offset, in pixels, by axis."""

    scale_x: float
    scale_y: float
    left: int
    top: int

    def in_image(self, corners: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes (n, 4: left, top, right, bottom) in the input as boxes in the image, in its pixels."""
        offsets: NDArray[np.float32] = np.array([self.left, self.top] * 2, np.float32)
        scales: NDArray[np.float32] = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        return (corners - offsets) / scales


def shapes(square: int) -> list[Size]:
    """Return the input shapes to compile for a model that takes any: 4:3 in both directions, and a square for the rest.

    Each takes 50 to 70 MB once it is compiled. Those of 16:9 would save such photos another 17 % of the CPU, and leave
    the decoder too little of a small machine's memory.
    """
    short = math.ceil(square * 3 / 4 / _STRIDE) * _STRIDE
    return [(short, square), (square, short), (square, square)]


def choose(image: Size, sizes: list[Size]) -> Size:
    """Return the smallest of the sizes in which an image is as large as in any of them."""
    ratios = {size: _ratio(image, size) for size in sizes}
    enough = max(ratios.values()) * (1 - _SLACK)
    return min((size for size in sizes if ratios[size] >= enough), key=lambda size: size[0] * size[1])


def letterbox(image: NDArray[np.uint8], size: Size) -> tuple[NDArray[np.uint8], Placement]:
    """Return the image scaled to fit (height, width) and centred on grey, and where it lies."""
    import cv2

    height, width = image.shape[:2]
    ratio = _ratio((height, width), size)
    new_width, new_height = max(round(width * ratio), 1), max(round(height * ratio), 1)
    if (new_width, new_height) != (width, height):
        image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    # Round like ultralytics: an odd pixel goes to the right or the bottom.
    top, left = round((size[0] - new_height) / 2 - 0.1), round((size[1] - new_width) / 2 - 0.1)
    boxed = np.full((*size, 3), _GREY, np.uint8)
    boxed[top : top + new_height, left : left + new_width] = image
    return boxed, Placement(new_width / width, new_height / height, left, top)


def _ratio(image: Size, size: Size) -> float:
    """Return by how much to scale an image, so that it just fits."""
    return min(size[0] / image[0], size[1] / image[1])
