"""Headers of image files are read without an image library, whatever a stranger makes of them."""

import struct
import sys
from functools import cache
from io import BytesIO
from random import Random
from typing import Any

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detection.picture import image_headers

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
STARTS = [start for start, _ in image_headers._MAGIC] + [b"RIFF\0\0\0\0WEBPVP8X", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"]


def saved(form: str, size: tuple[int, int] = (320, 200), mode: str = "RGB", **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, "grey").save(buffer, form, **options)
    return buffer.getvalue()


pillow_heif.register_heif_opener()


@cache
def file(form: str) -> bytes:
    """Return a small file; made on demand, because AVIF's encoder takes 150 MB, and each process imports this."""
    return saved(form)


@pytest.mark.parametrize("form", FORMATS)
def test_format_and_size_are_read(form: str) -> None:
    assert image_headers.read(file(form)) == image_headers.Header(form, 320, 200)


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"icc_profile": bytes(200_000)}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {}),
        ("TIFF", "RGB", {"big_tiff": False, "compression": "tiff_lzw"}),
        ("PNG", "P", {}),
        ("HEIF", "RGBA", {}),
    ],
)
def test_variants_are_read(form: str, mode: str, options: dict[str, Any]) -> None:
    assert image_headers.read(saved(form, mode=mode, **options)) == image_headers.Header(form, 320, 200)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0", b"just text", b"BMW", b"%PDF-1.7", b"<svg/>", bytes(99)])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(image_headers.UnreadableImage, match="not an image"):
        image_headers.read(data)


def test_video_is_refused() -> None:
    with pytest.raises(image_headers.UnreadableImage, match="not an image"):
        image_headers.read(struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"mp42") + bytes(1000))


@pytest.mark.parametrize("size", [(30_000, 30_000), (1, 60_000_000)])
def test_too_many_pixels_are_refused(size: tuple[int, int]) -> None:
    data = file("PNG")[:16] + struct.pack(">II", *size) + file("PNG")[24:]
    with pytest.raises(image_headers.UnreadableImage, match=f"{size[0]} x {size[1]}"):
        image_headers.read(data)


def test_sizes_beyond_head_are_unknown() -> None:
    jpeg = file("JPEG")
    padded = jpeg[:2] + (b"\xff\xe1\xff\xff" + bytes(65_533)) * 5 + jpeg[2:]
    assert image_headers.read(padded) == image_headers.Header("JPEG")
    tiff = b"II*\0" + struct.pack("<I", 1_000_000) + bytes(1_000_000)
    assert image_headers.read(tiff) == image_headers.Header("TIFF")


def test_jpeg_size() -> None:
    assert image_headers.jpeg_size(file("JPEG")) == (320, 200)
    with pytest.raises(image_headers.UnreadableImage):
        image_headers.jpeg_size(file("PNG"))


@given(st.sampled_from([b"", *STARTS]), st.binary(max_size=600))
def test_random_bytes_are_read_or_refused(start: bytes, rest: bytes) -> None:
    is_header_or_refused(start + rest)


@given(st.sampled_from(FORMATS), st.integers(0, 2**32), st.integers(1, 30))
def test_damaged_files_are_read_or_refused(form: str, seed: int, times: int) -> None:
    random, data = Random(seed), bytearray(file(form))
    for _ in range(times):
        data[random.randrange(min(len(data), 1000))] = random.randrange(256)
    is_header_or_refused(bytes(data[: random.randrange(len(data))]))


def is_header_or_refused(data: bytes) -> None:
    try:
        header = image_headers.read(data)
    except image_headers.UnreadableImage:
        return
    assert header.format in FORMATS
    assert (header.width is None) == (header.height is None)


MEGABYTES = 20 * 1024 * 1024
HEIF = b"\0\0\0\x10ftypheic\0\0\0\0"


# Made on demand, because each process imports this: what repeats follows what stands once, up to 20 MB.
LONG = {
    "fill": (b"\xff\xd8", b"\xff"),
    "segments": (b"\xff\xd8", b"\xff\xe1\0\x02"),
    "markers": (b"\xff\xd8", b"\xff\xd0"),
    "tags": (b"II*\0\x08\0\0\0\xff\xff", b"\0"),
    "boxes": (HEIF, b"\0\0\0\x08free"),
    "metas": (HEIF, b"\0\0\0\x14meta\0\0\0\0\0\0\0\x08iprp"),
    "children": (HEIF + struct.pack(">I4sI", MEGABYTES, b"meta", 0), b"\0\0\0\x08free"),
}


@pytest.mark.parametrize("name", LONG)
def test_long_header_takes_few_steps(name: str) -> None:
    once, repeated = LONG[name]
    data = once + repeated * (MEGABYTES // len(repeated))
    steps = 0

    def count(*_: object) -> Any:
        nonlocal steps
        steps += 1
        return count

    sys.settrace(count)
    try:
        image_headers.read(data)
    finally:
        sys.settrace(None)
    assert steps < 50_000
