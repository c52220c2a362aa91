"""Make people unrecognisable."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detection.schemas import Detection

# A person becomes so many blocks high or wide: no face can be told, nor computed back from so few.
_BLOCKS = 10


def blur(image: NDArray[np.uint8], boxes: Sequence[Detection]) -> None:
    """Replace what is in the boxes by blocks of its mean colours, in place. The image is (height, width, 3)."""
    height, width = image.shape[:2]
    for box in boxes:
        left, right = (int(np.clip((box.cx + side * box.width / 2) * width, 0, width)) for side in (-1, 1))
        top, bottom = (int(np.clip((box.cy + side * box.height / 2) * height, 0, height)) for side in (-1, 1))
        step = max(1, -(-max(right - left, bottom - top) // _BLOCKS))
        for y in range(top, bottom, step):
            for x in range(left, right, step):
                block = image[y : min(y + step, bottom), x : min(x + step, right)]
                block[:] = block.mean((0, 1)).astype(np.uint8)
