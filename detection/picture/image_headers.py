"""Read the format and size of an image from its first bytes, without an image library.

Sites run this on whatever strangers send, so it does little: it unpacks a few numbers, and never looks at more than
_STEPS of a file's segments. It refuses what certainly cannot be processed; the worker decides about the rest.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from detection.record.reasons import Refused
from detection.record.sentences import Code

# Nothing beyond this is looked at.
HEAD_BYTES = 256 * 1024
# Limit of segments, boxes and tags. A phone's photo has a few dozen.
_STEPS = 1000

Size = tuple[int, int] | None


class UnreadableImage(Refused):
    """These bytes are not a photo that can be processed."""


@dataclass(frozen=True, slots=True)
class Header:
    """An image file's format and size in pixels, None if its first bytes don't tell it."""

    format: str
    width: int | None = None
    height: int | None = None


def read(data: bytes) -> Header:
    """Read the header from a file's first HEAD_BYTES, or from all of a smaller file.

    Raise UnreadableImage for what is certainly no image, or certainly has too many pixels.
    """
    head = bytes(data[:HEAD_BYTES])
    name = _format(head)
    try:
        size = _SIZES[name](head)
    except struct.error as error:
        # The size lies beyond what was read.
        if len(head) < HEAD_BYTES:
            raise UnreadableImage(Code.NO_IMAGE) from error
        size = None
    if size is None:
        return Header(name)
    check(*size)
    return Header(name, *size)


def read_clip(data: bytes) -> None:
    """Raise UnreadableImage if this can't be a clip, which is an MP4, a GIF or a WebM."""
    if data[4:8] != b"ftyp" and not data.startswith((b"GIF8", b"\x1aE\xdf\xa3")):
        raise UnreadableImage(Code.NO_CLIP)


def check(width: int, height: int) -> None:
    """Raise UnreadableImage if an image of this size has no pixels, or too many."""
    if not (width and height):
        raise UnreadableImage(Code.NO_IMAGE)
    if width * height > settings.PHOTO_MAX_MEGAPIXELS * 1e6:
        raise too_many_pixels(width, height)


def too_many_pixels(width: int, height: int) -> UnreadableImage:
    """Return the error for an image larger than PHOTO_MAX_MEGAPIXELS."""
    megapixels, most = f"{width * height / 1e6:.0f}", f"{settings.PHOTO_MAX_MEGAPIXELS:g}"
    return UnreadableImage(Code.TOO_MANY_PIXELS, width=str(width), height=str(height), megapixels=megapixels, most=most)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return a JPEG's width and height as stored. Raise UnreadableImage if its first HEAD_BYTES do not say."""
    header = read(data)
    if header.format != "JPEG" or header.width is None or header.height is None:
        raise UnreadableImage(Code.NO_IMAGE)
    return header.width, header.height


def _format(head: bytes) -> str:
    for start, name in _MAGIC:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        # A video is such a file, too: the brands, its own first, tell them apart.
        length = min(int.from_bytes(head[:4], "big"), 256)
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, length, 4))]
        found = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        if found:
            return "AVIF" if "AVIF" in found else "HEIF"
    raise UnreadableImage(Code.NO_IMAGE)


def _jpeg(head: bytes) -> Size:
    at = 2
    for _ in range(_STEPS):
        prefix, marker = struct.unpack_from("BB", head, at)
        if prefix != 0xFF or marker in (0xD9, 0xDA):
            # Coded data or the end before any size.
            raise UnreadableImage(Code.NO_IMAGE)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        if marker == 0xFF:
            at += 1  # A fill byte.
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2  # A marker without a segment.
        else:
            at += 2 + max(struct.unpack_from(">H", head, at + 2)[0], 2)
    return None


def _png(head: bytes) -> Size:
    kind, width, height = struct.unpack_from(">4sII", head, 12)
    if kind != b"IHDR":
        raise UnreadableImage(Code.NO_IMAGE)
    return width, height


def _gif(head: bytes) -> Size:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _bmp(head: bytes) -> Size:
    (version,) = struct.unpack_from("<I", head, 14)
    if version not in _BMP_VERSIONS:
        # This is a text that begins with BM.
        raise UnreadableImage(Code.NO_IMAGE)
    width, height = struct.unpack_from("<HH" if version == 12 else "<ii", head, 18)
    # A negative height means that the rows start at the top.
    return abs(width), abs(height)


def _webp(head: bytes) -> Size:
    kind = head[12:16]
    if kind == b"VP8X":
        wide, wide_high, high, high_high = struct.unpack_from("<HBHB", head, 24)
        return (wide_high << 16 | wide) + 1, (high_high << 16 | high) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise UnreadableImage(Code.NO_IMAGE)


def _tiff(head: bytes) -> Size:
    order = "<" if head[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", head, 4)
    (entries,) = struct.unpack_from(f"{order}H", head, at)
    sides = {}
    for number in range(min(entries, _STEPS)):
        tag, kind = struct.unpack_from(f"{order}HH", head, at + 2 + 12 * number)
        if tag in (256, 257) and kind in (3, 4):
            (sides[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", head, at + 10 + 12 * number)
    return (sides[256], sides[257]) if len(sides) == 2 else None


def _heif(head: bytes) -> Size:
    """Return the size of the largest image in the file: the others are its tiles, thumbnail and depth map."""
    sizes = []
    for meta in _boxes(head, b"meta", 0, len(head)):
        # Four bytes of version and flags come before the boxes in it, as before an ispe's numbers.
        for properties in _boxes(head, b"iprp", meta.start + 4, meta.stop):
            for container in _boxes(head, b"ipco", properties.start, properties.stop):
                for extents in _boxes(head, b"ispe", container.start, container.stop):
                    sizes.append(struct.unpack_from(">II", head, extents.start + 4))
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _boxes(head: bytes, wanted: bytes, at: int, end: int) -> Iterator[range]:
    """Yield the places of the contents of all boxes of a kind among those in a row from `at` to `end`."""
    for _ in range(_STEPS):
        if at + 8 > min(end, len(head)):
            return
        length, kind = struct.unpack_from(">I4s", head, at)
        if length < 8:
            # It runs to the end of the file, or has a length of 64 bits: nobody writes a meta box like that.
            return
        if kind == wanted:
            yield range(at + 8, min(at + length, end))
        at += length


_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_BRANDS = dict.fromkeys((b"avif", b"avis"), "AVIF") | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIF"
)
# The lengths of its header, which tell its versions apart.
_BMP_VERSIONS = (12, 16, 40, 52, 56, 64, 108, 124)
# Start of frame of any kind: C4, C8 and CC are something else.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SIZES = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "BMP": _bmp,
    "WEBP": _webp,
    "TIFF": _tiff,
    "HEIF": _heif,
    "AVIF": _heif,
}
