"""Carry a small picture at the head of a JPEG, as cameras do: a "JFXX" segment that holds a JPEG (JFIF 1.02, page 6).

A worker, which has the pixels, puts it into the boxed photo; a site, which has no image library, cuts it out of the
object's first bytes. It costs no object of its own: it is stored, expires and is deleted with the boxed photo.
"""

import struct

# Of the longer side, in pixels: a list shows it at half of that.
SIDE = 112
# What a site reads of an object. A small picture of 112 pixels takes 2 to 6 KB.
HEAD_BYTES = 16 * 1024
_START, _SEGMENT, _MARK = b"\xff\xd8", b"\xff\xe0", b"JFXX\0\x10"


def within(jpeg: bytes, small: bytes) -> bytes:
    """Return a JPEG with a small one in it; unchanged if it is no JFIF, or the small one would not fit into its head.

    The standard wants no JFIF segment in the small one.
    """
    place, inner = _behind_jfif(jpeg), small[_behind_jfif(small) or 2 :]
    segment = _MARK + _START + inner
    if place is None or place + 4 + len(segment) > HEAD_BYTES:
        return jpeg
    return b"".join((jpeg[:place], _SEGMENT, struct.pack(">H", len(segment) + 2), segment, jpeg[place:]))


def read(head: bytes) -> bytes | None:
    """Return the small JPEG in the first HEAD_BYTES of a JPEG, None if it has none."""
    place = _behind_jfif(head)
    if place is None or head[place : place + 2] != _SEGMENT or head[place + 4 : place + 10] != _MARK:
        return None
    end = place + 2 + int.from_bytes(head[place + 2 : place + 4])
    small = head[place + 10 : end]
    return small if end <= len(head) and small.startswith(_START) else None


def _behind_jfif(jpeg: bytes) -> int | None:
    """Return where the segment that every JFIF begins with ends, None without one."""
    if jpeg[:4] != _START + _SEGMENT or jpeg[6:11] != b"JFIF\0":
        return None
    return 4 + int.from_bytes(jpeg[4:6])
