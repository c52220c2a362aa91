"""Re-encode photos as Telegram does: upright JPEGs in a few sizes, never the original bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageOps

MAX_PHOTO_BYTES = 10 << 20
MAX_WIDTH_AND_HEIGHT = 10_000
MAX_RATIO = 20
BOXES = (90, 320, 800, 1280)
_MAX_THUMBNAIL_BYTES, _MAX_THUMBNAIL_SIDE = 200_000, 320
# A person may choose to send a photo in high definition.
HIGH_DEFINITION = 2560
# A person's app scales a large picture down before sending it, so people may choose larger ones than bots.
MAX_PERSON_PIXELS = 100_000_000


class PhotoError(ValueError):
    """Telegram does not accept this picture as a photo; the text is its reason."""


@dataclass(frozen=True)
class EncodedSize:
    """One size of a photo, as the bot downloads it."""

    width: int
    height: int
    data: bytes


def check_bot_limits(data: bytes) -> None:
    """Raise PhotoError for what the Bot API refuses from a bot: too many bytes or pixels, too long and thin."""
    if len(data) > MAX_PHOTO_BYTES:
        raise PhotoError(
            f"file of size {len(data)} bytes is too big for a photo; the maximum size is {MAX_PHOTO_BYTES} bytes"
        )
    width, height = _open(data).size
    if width + height > MAX_WIDTH_AND_HEIGHT or max(width, height) > MAX_RATIO * min(width, height):
        raise PhotoError("PHOTO_INVALID_DIMENSIONS")


@lru_cache(maxsize=16)
def encode(data: bytes, high_definition: bool = False) -> tuple[EncodedSize, ...]:
    """Return the sizes of a photo, smallest first; the largest has at most 1280 pixels a side, or 2560."""
    all_boxes = (*BOXES, HIGH_DEFINITION) if high_definition else BOXES
    image = _open(data)
    if image.width * image.height > MAX_PERSON_PIXELS:
        raise PhotoError("PHOTO_INVALID_DIMENSIONS")
    # Decoding a JPEG at a fraction of its size takes a fraction of the work.
    image.draft("RGB", (all_boxes[-1], all_boxes[-1]))
    try:
        upright = _flat_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError) as error:
        raise PhotoError("IMAGE_PROCESS_FAILED") from error
    longest = max(upright.size)
    boxes = [box for box in all_boxes if box < longest] or [longest]
    if longest <= all_boxes[-1] and boxes[-1] != longest:
        boxes.append(longest)
    sizes = []
    for box in reversed(boxes):
        upright.thumbnail((box, box), Image.Resampling.LANCZOS, reducing_gap=2.0)
        sizes.append(EncodedSize(upright.width, upright.height, _jpeg(upright)))
    return tuple(reversed(sizes))


def thumbnail_size(data: bytes) -> tuple[int, int] | None:
    """Return the size of a thumbnail, None for one that is no JPEG of up to 200 kB and 320 pixels a side."""
    try:
        image = _open(data)
    except PhotoError:
        return None
    fits = len(data) <= _MAX_THUMBNAIL_BYTES and max(image.size) <= _MAX_THUMBNAIL_SIDE
    return image.size if fits and image.format == "JPEG" else None


def _open(data: bytes) -> Image.Image:
    if not data:
        raise PhotoError("file must be non-empty")
    try:
        return Image.open(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError("IMAGE_PROCESS_FAILED") from error


def _flat_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB, with 16-bit greys scaled down and transparency on white."""
    if image.mode.startswith(("I", "F")):
        image = image.convert("F").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    return image.convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # Without this, the EXIF block with its orientation and location would be kept.
    image.info.clear()
    image.save(buffer, "JPEG", quality=87)
    return buffer.getvalue()
