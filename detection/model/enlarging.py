"""Draw an answer again at its photo's full resolution, or as near to it as possible."""

from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from detection.model import decoding
from detection.model.boxed import Boxed
from detection.model.decoding import DECODER
from detection.picture import full_size, pixels
from detection.picture.image_headers import UnreadableImage
from detection.picture.render import Scene
from detection.picture.strips import TooLarge

log = structlog.get_logger()

# A picture that takes too many bytes at its full resolution is drawn again with half the pixels, so often at most.
_TRIES, _SMALLER = 3, 0.7


def enlarged(photo: bytes | bytearray, image: NDArray[np.uint8], boxed: Boxed) -> Boxed:
    """Return the answer with a large picture; the copy becomes as large, so that it can be drawn again."""
    scene, side = Scene(image, boxed.candidates, boxed.classes), decoding.FULL_SIDE
    for _ in range(_TRIES):
        try:
            with DECODER.full(photo, side) as rows:
                side = round(max(rows.size) * _SMALLER)
                copy, picture = full_size.draw(rows, rows.size, scene, boxed.detections, boxed.options)
        except TooLarge as error:
            log.info("full_picture_too_large", reason=str(error))
        except UnreadableImage as error:
            # The smaller picture could be made of it.
            log.warning("full_picture_left_out", error=str(error))
            break
        else:
            return replace(boxed, copy=copy, full=pixels.with_thumbnail(picture, image))
    return boxed
