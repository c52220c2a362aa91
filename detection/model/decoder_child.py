"""Decode images in a process that can do nothing else: at worst, a stranger's file ends this process and no other.

`detection/model/decoding.py` runs this file by its path, so it imports nothing of the service and holds no secret.
A request is a length (8 bytes), the longest side that is wanted in pixels, which quarter of a clip, and a file; a reply
is a code, a width and a height and, if decoded, BGR pixels from top to bottom. Before that, an empty reply says that
the process is ready, or that it has the file and begins. `clip_child.py` serves clips in the same way: FFmpeg takes
memory that most workers never need.
"""

import ctypes
import runpy
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pillow_heif
import pyvips
from PIL import BmpImagePlugin

_confined = runpy.run_path(str(Path(__file__).with_name("confined.py")), run_name="confined")
_limit_cpu = _confined["limit_cpu"]
REQUEST = struct.Struct("!QIB")
REPLY = struct.Struct("!BII")
DECODED, NO_IMAGE, TOO_MANY_PIXELS, DAMAGED = range(4)
# An image up to this longer side (pixels) is decoded as a whole before it is sent, so that one that turns out to be
# damaged is refused; a larger one by so many rows, so that few formats are held as a whole at their full size.
WHOLE_SIDE, ROWS = 1600, 256
# The most expensive honest file, a HEIC of 48 megapixels, takes 1.5 s; endless chunks take all they get.
# The frames of a clip share that; a child in place of one that grew too large has less for those that are left.
_CPU_SECONDS, _LEFT_CPU_SECONDS = 6, 2
# What decoders may reserve beyond the start. They use half of it; the parent kills a child that uses too much.
_ADDRESS_SPACE = 800 << 20
_LOADERS = ("Jpeg", "Png", "Webp", "Nsgif", "Tiff", "Heif")


class Refused(Exception):
    """The image isn't decoded; carries the reply that says why."""

    def __init__(self, code: int, width: int = 0, height: int = 0) -> None:
        super().__init__(code)
        self.reply = REPLY.pack(code, width, height)


def main(max_pixels: int, opened: Callable[[bytes, int], Any]) -> None:
    """Serve until the parent closes stdin or ends. `opened` reads the header of a file; the number is a quarter."""
    libc = ctypes.CDLL(None)
    _shut_in(libc)
    with open(0, "rb", closefd=False) as requests, open(1, "wb", buffering=0, closefd=False) as replies:
        _limit_cpu(_LEFT_CPU_SECONDS)
        _send(replies, REPLY.pack(DECODED, 0, 0))
        while head := requests.read(REQUEST.size):
            length, side, quarter = REQUEST.unpack(head)
            if not quarter:
                _limit_cpu(_CPU_SECONDS)
            data = requests.read(length)
            _send(replies, REPLY.pack(DECODED, 0, 0))
            for part in _reply_to(partial(opened, data, quarter), side, max_pixels):
                _send(replies, part)
            if sys.platform == "linux":
                libc.malloc_trim(0)


def _shut_in(libc: ctypes.CDLL) -> None:
    """Give up everything that decoding does not need. What is imported and open stays; nothing else can be opened."""
    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", False)
    _confined["shut_in"](libc, _ADDRESS_SPACE)


def _send(replies: Any, data: bytes) -> None:
    """Write all of it: a pipe takes only as much as it has room for."""
    rest = memoryview(data)
    while rest:
        rest = rest[replies.write(rest) :]


def _reply_to(opened: Callable[[], Any], side: int, max_pixels: int) -> Iterator[bytes]:
    """Yield the parts of the reply. Pixels that turn out to be damaged end the process: their size is sent already."""
    try:
        image = decode(opened, side, max_pixels)
        rows = _rows(image, image.height if side <= WHOLE_SIDE else ROWS)
        first = next(rows)
    except Refused as refused:
        yield refused.reply
        return
    except Exception:  # noqa: BLE001 - Damaged data can make decoders raise anything.
        yield REPLY.pack(DAMAGED, 0, 0)
        return
    yield REPLY.pack(DECODED, image.width, image.height)
    yield first
    yield from rows


def _rows(image: Any, count: int) -> Iterator[bytes]:
    """Yield the pixels, so many rows at a time, from top to bottom, which is how files are read."""
    for top in range(0, image.height, count):
        yield image.crop(0, top, image.width, min(count, image.height - top)).write_to_memory()


def decode(opened: Callable[[], Any], side: int, max_pixels: int) -> Any:
    """Return the image, or its first frame, upright, at most `side` pixels a side, as BGR on white."""
    header = opened()
    if header.width * header.height > max_pixels:
        raise Refused(TOO_MANY_PIXELS, header.width, header.height)
    image = header.read(side)
    if image.hasalpha():
        image = image.colourspace("srgb").flatten(background=255)
    red, green, blue = image.colourspace("srgb").cast("uchar").bandsplit()
    return blue.bandjoin([green, red])


class _Vips:
    """Formats that libvips reads: JPEG, PNG, WebP, GIF, TIFF, AVIF."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._header = pyvips.Image.new_from_buffer(data, "", access="sequential")
        self.width, self.height = self._header.width, self._header.height

    def read(self, side: int) -> Any:
        """Return the pixels, scaled down while they are read."""
        common = self._header.format in ("uchar", "ushort") and self._header.interpretation != "cmyk"
        if common:
            return pyvips.Image.thumbnail_buffer(
                self._data, side, height=side, size="down", option_string="fail_on=error"
            )
        return self._uncommon(min(side, WHOLE_SIDE))

    def _uncommon(self, side: int) -> Any:
        """Return CMYK, whose colours are expensive to convert, and samples beyond 16 bits: scale them down first."""
        image = pyvips.Image.new_from_buffer(self._data, "", access="sequential", fail_on="error")
        image = image.resize(min(1, side / max(self.width, self.height))).copy_memory().autorot()
        if image.interpretation != "cmyk":
            brightest = max(image.max(), 1)
            image *= 255 / (65535 if 255 < brightest <= 65535 else brightest)
            image = image.cast("uchar").copy(interpretation="srgb" if image.bands > 2 else "b-w")
        return image


class _Heic:
    """HEIC, which the wheel of libvips cannot decode, by pillow-heif: it comes upright and at full size."""

    def __init__(self, data: bytes) -> None:
        self._heif = pillow_heif.open_heif(data)
        self.width, self.height = self._heif.size

    def read(self, side: int) -> Any:
        """Return the pixels, scaled down."""
        bands = len(self._heif.mode)
        pixels = self._heif.data
        image = pyvips.Image.new_from_memory(pixels, self._heif.stride // bands, self.height, bands, "uchar")
        return _smaller(image.crop(0, 0, self.width, self.height), "srgb" if bands > 2 else "b-w", side)


class _Bmp:
    """BMP, which libvips does not know, by Pillow."""

    def __init__(self, data: bytes) -> None:
        self._image = BmpImagePlugin.BmpImageFile(BytesIO(data))
        self.width, self.height = self._image.size

    def read(self, side: int) -> Any:
        """Return the pixels, scaled down."""
        rgb = self._image.convert("RGB").reduce(max(1, max(self._image.size) // side))
        return _smaller(pyvips.Image.new_from_memory(rgb.tobytes(), *rgb.size, 3, "uchar"), "srgb", side)


def _opened(data: bytes, quarter: int) -> _Vips | _Heic | _Bmp:
    """Return the file with its header read. An image has no quarters."""
    del quarter
    brands = data[8:64] if data[4:8] == b"ftyp" else b"avif"
    kind = _Bmp if data[:2] == b"BM" else _Vips if b"avif" in brands or b"avis" in brands else _Heic
    try:
        return kind(data)
    except Exception:  # noqa: BLE001 - as above.
        raise Refused(NO_IMAGE) from None


def _smaller(image: Any, interpretation: str, side: int) -> Any:
    named = image.copy(interpretation=interpretation)
    return named.thumbnail_image(side, height=side, size="down", no_rotate=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), _opened)
