"""Make the picture that answers a photo, of the photo and what the model thinks possible in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.picture import blur, draw, pixels
from detection.record.schemas import EVERYTHING, PERSON, Detection, Options

# Telegram scales photos to this many pixels on the longer side; drawing a larger one would be wasted.
DRAWN_SIDE = 1280
# A smaller photo is enlarged to this width, as far as its height stays below that, so that its labels are sharp.
_DRAWN_WIDTH = 640
# An object is cut out with this share of its size around it.
_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Scene:
    """A photo as (height, width, 3) BGR, what is possible in it, and the numbers of the model's classes by label."""

    image: NDArray[np.uint8]
    candidates: Sequence[Detection]
    classes: Mapping[str, int]


def picture(scene: Scene, shown: Sequence[Detection], options: Options = EVERYTHING) -> bytes:
    """Draw what is shown into the photo; return it as JPEG, no larger than DRAWN_SIDE but for the legend."""
    image = _sized(scene.image)
    _hide_people(image, scene, options)
    return pixels.encode_jpeg(draw.draw(image, shown, scene.classes, labelled=options.labels))


def crops(scene: Scene, shown: Sequence[Detection], most: int, options: Options = EVERYTHING) -> list[bytes]:
    """Return the first objects cut out of the photo, as JPEGs."""
    _hide_people(scene.image, scene, options)
    return [pixels.encode_jpeg(_cut(scene.image, box)) for box in shown[:most]]


def _hide_people(image: NDArray[np.uint8], scene: Scene, options: Options) -> None:
    """Blur all people that may be in the scene, in place, if that is asked for."""
    if options.blur:
        blur.blur(image, [box for box in scene.candidates if box.label == PERSON])


def _sized(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image as large as Telegram shows it."""
    height, width = image.shape[:2]
    scale = min(1.0, DRAWN_SIDE / max(height, width))
    if width * scale < _DRAWN_WIDTH:
        # Small pictures and narrow ones are shown enlarged. Their labels would be enlarged with them, and blurred.
        scale = min(_DRAWN_WIDTH / width, DRAWN_SIDE / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return image if size == (width, height) else _resized(image, size)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    way = Image.Resampling.BOX if size[0] < image.shape[1] else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(image).resize(size, way))


def _cut(image: NDArray[np.uint8], box: Detection) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    half_width, half_height = ((0.5 + _MARGIN) * side for side in (box.width, box.height))
    left, right = (int(np.clip((box.cx + side * half_width) * width, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip((box.cy + side * half_height) * height, 0, height)) for side in (-1, 1))
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]
