"""Turn an ordinary JPEG into an upright BGR array, and such an array into a JPEG.

Everything else is decoded in another process (detection/model/decoding.py): of a stranger's file, this one only reads
the markers of a JPEG, and passes it to TurboJPEG if it is small, plain and sound.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.picture import thumbnails

# Telegram shows photos at 1280 pixels, and the model sees them at 640. A JPEG can be decoded at 1/2, 1/4 or 1/8 of
# its size in a fraction of the time and memory, so larger ones are, to no less than this (longer side, pixels).
_DECODED_SIDE = 1600
# Beyond these limits a JPEG is not ordinary: pixels, pixels of a progressive one (which takes six bytes for each),
# scans, and segments before the first scan.
_PIXELS, _PROGRESSIVE_PIXELS, _SCANS, _SEGMENTS = 20_000_000, 4_000_000, 12, 64
_FRAMES = range(0xC0, 0xC3)  # Baseline, extended, progressive.
_START_OF_SCAN, _EXIF = 0xDA, 0xE1
_ORIENTATION = 0x0112
# How to turn an image with EXIF's orientations 2 to 8: transpose, flip top and bottom, flip left and right.
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True, slots=True)
class OrdinaryJpeg:
    """A JPEG that is safe and fast to decode in this process. Width and height are in pixels, as stored."""

    data: bytes | bytearray
    width: int
    height: int
    orientation: int

    def decode(self, least_side: float = _DECODED_SIDE) -> NDArray[np.uint8] | None:
        """Return it as (height, width, 3) BGR, upright, or None if TurboJPEG rejects it.

        It is scaled down while it is decoded, but to no less than `least_side` pixels on the longer side.
        """
        import simplejpeg

        shrink = max((n for n in (1, 2, 4, 8) if max(self.width, self.height) / n >= least_side), default=1)
        least = {"min_height": -(-self.height // shrink), "min_width": -(-self.width // shrink)}
        try:
            image = simplejpeg.decode_jpeg(self.data, "BGR", **least)
        except ValueError:
            return None
        return _upright(image, self.orientation)


def ordinary_jpeg(data: bytes | bytearray) -> OrdinaryJpeg | None:
    """Return `data` with what its markers say if it is an ordinary JPEG, else None."""
    if data[:2] != b"\xff\xd8" or data.count(b"\xff\xda") > _SCANS:
        return None
    place, orientation, frame = 2, 1, None
    for _ in range(_SEGMENTS):
        if len(data) < place + 4 or data[place] != 0xFF:
            return None
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        content = data[place + 4 : place + 2 + length]
        if marker == _START_OF_SCAN:
            break
        if marker == _EXIF and content.startswith(b"Exif\0\0"):
            orientation = _orientation(content[6:])
        elif marker in _FRAMES and len(content) >= 6:
            frame = (marker == 0xC2, *struct.unpack(">xHHB", content[:6]))
        place += 2 + length
    else:
        return None
    if frame is None:
        return None
    progressive, height, width, components = frame
    small = 0 < width * height <= (_PROGRESSIVE_PIXELS if progressive else _PIXELS)
    return OrdinaryJpeg(data, width, height, orientation) if small and components in (1, 3) else None


def _orientation(tiff: bytes | bytearray) -> int:
    """Return the orientation (1 to 8) in the first directory of EXIF data, 1 if it holds none."""
    order = ">" if tiff[:2] == b"MM" else "<"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * min(entries, 100), 12):
            tag, value = struct.unpack_from(order + "H6xH", tiff, place)
            if tag == _ORIENTATION:
                return value if value in _TURNS else 1
    except struct.error:
        return 1
    return 1


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    transpose, upside_down, mirror = _TURNS.get(orientation, (False, False, False))
    if transpose:
        image = image.transpose(1, 0, 2)
    if upside_down:
        image = image[::-1]
    if mirror:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def encode_jpeg(image: NDArray[np.uint8], quality: int = 85) -> bytes:
    """Return a (height, width, 3) BGR array as JPEG. It holds none of the photo's metadata: no place, no time."""
    import simplejpeg

    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "BGR", "420"))


def with_thumbnail(jpeg: bytes, image: NDArray[np.uint8]) -> bytes:
    """Return a JPEG with a small copy of a (height, width, 3) BGR array in its head, for lists."""
    import cv2

    height, width = image.shape[:2]
    shrink = min(1.0, thumbnails.SIDE / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    if shrink < 0.5:
        # The mean of four pixels for a small one takes a fiftieth of the time of all of them, and looks as good.
        image = np.asarray(cv2.resize(image, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_NEAREST), np.uint8)
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return thumbnails.within(jpeg, encode_jpeg(small, quality=75))
