"""Set a few words as a mask that can be laid over pixels."""

from functools import lru_cache

import numpy as np
from font_source_sans_pro import SourceSansPro
from numpy.typing import NDArray

# A phone shows a picture this wide, in CSS pixels, and a capital letter is to be this high there.
PHONE_WIDTH, CAPITAL = 390, 11
# The height of the font's capital letters without their blurred edges, as a fraction of the size of type.
_CAPITAL_OF_SIZE = 0.63
# A busy worker sees some eighty labels, in the few sizes that cameras and Telegram make.
_KEPT = 1024
# Larger ones are for pictures at full resolution, and take too much memory to be kept.
KEPT_SIZE = 64


def size_for(width: int) -> int:
    """Return the size of type, in pixels, that can be read on a phone in a picture so wide."""
    # One more, because the edges of letters are blurred.
    return round(width * CAPITAL / PHONE_WIDTH / _CAPITAL_OF_SIZE) + 1


def mask(words: str, size: int) -> NDArray[np.uint8]:
    """Return the words as (height, width) of 0 to 255; all of a size are as high."""
    return _kept(words, size) if size <= KEPT_SIZE else _set(words, size)


def _set(words: str, size: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(SourceSansPro, size, layout_engine=ImageFont.Layout.BASIC)
    left, _, right, _ = font.getbbox(words)
    # As much room above the tallest letter as there is below the lowest.
    _, top, _, bottom = font.getbbox("dúy")
    margin = size // 16
    page = Image.new("L", (max(1, round(right - left)), round(bottom - top) + 2 * margin))
    ImageDraw.Draw(page).text((-left, margin - top), words, fill=255, font=font)
    return np.asarray(page)


_kept = lru_cache(_KEPT)(_set)
