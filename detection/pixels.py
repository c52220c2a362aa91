"""Turn the bytes people send into an upright BGR array, refusing what cannot or must not be decoded."""

from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .headers import NO_IMAGE, UnreadableImage, check

# Telegram shows photos at 1280 pixels, and a model looks at 640. A JPEG can be decoded at 1/2, 1/4 or 1/8 of its
# size for a fraction of the time and memory, so larger ones are, to no less than this (longer side, pixels).
_DECODED_SIDE = 1600
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
# The cap below counts pixels before anything is decoded; Pillow's own guard only warns at first.
Image.MAX_IMAGE_PIXELS = None
Image.init()
pillow_heif.register_heif_opener()


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return the photo as (height, width, 3) BGR, upright by its EXIF orientation, the first frame if animated.

    Raise UnreadableImage for no image, an unknown format, too many pixels, and for damaged or truncated data.
    """
    image = _open(data)
    shrink = _DECODED_SIDE / max(image.size)
    image.draft("RGB", (round(image.width * shrink), round(image.height * shrink)))
    try:
        rgb = _rgb(ImageOps.exif_transpose(image))
    except MemoryError:
        raise
    except Exception as error:  # Decoders raise whatever damaged data makes of them: struct.error, IndexError, ...
        raise UnreadableImage("The image is damaged or incomplete: it cannot be decoded.") from error
    bgr: NDArray[np.uint8] = _cv2().cvtColor(np.asarray(rgb), _cv2().COLOR_RGB2BGR)
    return bgr


def encode_jpeg(image: NDArray[np.uint8], quality: int = 85) -> bytes:
    """Return a (height, width, 3) BGR array as JPEG. It carries no metadata of the photo, so no place and time."""
    return bytes(_cv2().imencode(".jpg", image, [_cv2().IMWRITE_JPEG_QUALITY, quality])[1])


def _cv2() -> Any:
    """Return OpenCV, which a process loads with the first photo."""
    import cv2

    return cv2


def _open(data: bytes) -> Image.Image:
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception as error:
        raise UnreadableImage(NO_IMAGE) from error
    check(*image.size)
    return image


def _rgb(image: Image.Image) -> Image.Image:
    """Return any mode as RGB: 16 bits scaled to 8, transparency on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        samples = np.asarray(image, dtype=np.float32)
        brightest = max(float(np.max(samples)), 1.0)
        scale = 255 / (65535 if 255 < brightest <= 65535 else brightest)
        return Image.fromarray((samples * scale).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")
