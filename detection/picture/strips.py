"""Write and read JPEGs of any size a strip at a time, so that a picture of 48 megapixels takes a few megabytes.

Each strip is what TurboJPEG makes of some rows. All use the same tables, so together they are one JPEG with a restart
marker between them (ITU-T T.81, B.2.1 and F.2.1.3.1): any program reads it as a whole, and `Reader` strip by strip.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from detection.picture import pixels

# (rows, width, 3) of blue, green and red.
Rows = NDArray[np.uint8]
# A multiple of the 16 rows that are coded together.
ROWS = 256
# A JPEG says its height in 16 bits; TurboJPEG takes no more than this (pixels).
LARGEST_SIDE = 65_500
_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAME, _SCAN, _INTERVAL, _RESTART = 0xC0, 0xDA, 0xDD, 0xD0
_UNIT = 16
_QUALITY = 90
# Of a segment, and of what stands before a JPEG's height in its frame.
_MARKER_BYTES, _PRECISION_BYTES = 4, 1


class TooLarge(Exception):
    """The picture takes more bytes than it may."""


class Writer:
    """A JPEG of this width that grows by rows."""

    def __init__(self, width: int, at_most_bytes: int) -> None:
        """Begin one of at most so many bytes."""
        self._width, self._at_most = width, at_most_bytes
        self._head = b""
        self._scans: list[bytes] = []
        self._rest = np.empty((0, width, 3), np.uint8)
        self._height = self._bytes = 0

    def add(self, rows: Rows) -> None:
        """Append rows. Raise TooLarge."""
        self._rest = np.vstack([self._rest, rows]) if len(self._rest) else rows
        while len(self._rest) >= ROWS:
            self._encode(self._rest[:ROWS])
            self._rest = self._rest[ROWS:]

    def finish(self) -> bytes:
        """Return the JPEG. It holds none of the photo's metadata. Raise TooLarge."""
        if len(self._rest):
            self._encode(self._rest)
        interval = -(-self._width // _UNIT) * (ROWS // _UNIT)
        frame = _segment(self._head, _FRAME)
        height = struct.pack(">H", self._height)
        at = frame.start + _PRECISION_BYTES
        scan = _segment(self._head, _SCAN)
        parts = [
            self._head[:at],
            height,
            self._head[at + 2 : scan.start - _MARKER_BYTES],
            struct.pack(">BBHH", 0xFF, _INTERVAL, 4, interval),
            self._head[scan.start - _MARKER_BYTES :],
        ]
        for number, coded in enumerate(self._scans):
            parts += [_restart(number - 1), coded] if number else [coded]
        return b"".join([*parts, _END])

    def _encode(self, rows: Rows) -> None:
        jpeg = pixels.encode_jpeg(rows, _QUALITY)
        end = _segment(jpeg, _SCAN).stop
        self._head = self._head or jpeg[:end]
        self._scans.append(jpeg[end : -len(_END)])
        self._height += len(rows)
        self._bytes += len(self._scans[-1])
        if self._bytes > self._at_most or self._height > LARGEST_SIDE:
            raise TooLarge(f"{self._bytes} bytes for {self._height} rows")


@dataclass(frozen=True, slots=True)
class Reader:
    """A JPEG that a Writer has written. Width and height are in pixels."""

    data: bytes | bytearray
    width: int
    height: int
    _frame: int
    _scan: int

    def strips(self, shrink: int = 1) -> Iterator[Rows]:
        """Yield the rows from top to bottom, at 1/1, 1/2, 1/4 or 1/8 of the size. Raise ValueError if damaged."""
        import simplejpeg

        places = self._places()
        for number, (start, stop) in enumerate(pairwise(places)):
            rows = min(ROWS, self.height - number * ROWS)
            head = bytearray(self.data[: self._scan])
            struct.pack_into(">H", head, self._frame + _PRECISION_BYTES, rows)
            strip = b"".join((head, self.data[start : stop - 2], _END))
            least = {"min_height": -(-rows // shrink), "min_width": -(-self.width // shrink)}
            yield simplejpeg.decode_jpeg(strip, "BGR", **least)

    @property
    def whole(self) -> pixels.OrdinaryJpeg:
        """Return it as a JPEG like others, which is decoded as a whole, and scaled down meanwhile."""
        return pixels.OrdinaryJpeg(self.data, self.width, self.height, orientation=1)

    def small(self) -> Rows:
        """Return all of it, as small as ordinary photos are decoded."""
        image = self.whole.decode()
        if image is None:
            raise ValueError("TurboJPEG rejects it")
        return image

    def _places(self) -> list[int]:
        """Return where each strip's coded data begins, and where one after the last would."""
        places = [self._scan]
        for number in range(-(-self.height // ROWS) - 1):
            at = self.data.find(_restart(number), places[-1])
            if at < 0:
                raise ValueError(f"no restart marker after strip {number}")
            places.append(at + 2)
        return [*places, len(self.data)]


def read(data: bytes | bytearray) -> Reader | None:
    """Return `data` as what a Writer wrote, None if it is something else."""
    try:
        frame, interval, scan = (_segment(data, marker) for marker in (_FRAME, _INTERVAL, _SCAN))
        height, width = struct.unpack_from(">HH", data, frame.start + _PRECISION_BYTES)
        (units,) = struct.unpack_from(">H", data, interval.start)
    except (LookupError, struct.error):
        return None
    ours = height and width and units == -(-width // _UNIT) * (ROWS // _UNIT)
    return Reader(data, width, height, frame.start, scan.stop) if ours else None


def _restart(number: int) -> bytes:
    return bytes((0xFF, _RESTART + number % 8))


def _segment(jpeg: bytes | bytearray, wanted: int) -> range:
    """Return where the content of the first segment with this marker is. Raise LookupError."""
    at = len(_START)
    while at + _MARKER_BYTES <= len(jpeg) and jpeg[at] == 0xFF:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4])
        if marker == wanted:
            return range(at + _MARKER_BYTES, at + 2 + length)
        if marker == _SCAN or length < 2:
            break
        at += 2 + length
    raise LookupError(f"no segment {wanted:x}")
