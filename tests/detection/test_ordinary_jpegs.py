"""An ordinary JPEG is decoded in the worker, as Pillow would; whatever is odd about one sends it to the decoder."""

import struct
from io import BytesIO
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageOps

from detection.picture import pixels
from tests.support import hostile


@pytest.fixture(scope="module")
def picture(photo: bytes) -> Image.Image:
    return Image.open(BytesIO(photo)).convert("RGB")


def _jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _decoded(data: bytes) -> np.ndarray | None:
    jpeg = pixels.ordinary_jpeg(data)
    return jpeg.decode() if jpeg else None


def _by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB"))[:, :, ::-1]


@pytest.mark.parametrize("orientation", range(10))
def test_orientation_is_honoured(picture: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _jpeg(picture, exif=exif)
    decoded = _decoded(data)
    assert decoded is not None
    assert np.array_equal(decoded, _by_pillow(data))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_match_those_of_pillow(picture: Image.Image, mode: str, progressive: bool) -> None:
    data = _jpeg(picture.convert(mode), progressive=progressive)
    decoded = _decoded(data)
    assert decoded is not None
    assert np.array_equal(decoded, _by_pillow(data))


@pytest.mark.parametrize(("side", "decoded"), [(1599, 1599), (3199, 3199), (3200, 1600), (4001, 2001), (5000, 2500)])
def test_large_photo_is_scaled_down_while_decoding(side: int, decoded: int) -> None:
    image = _decoded(_jpeg(Image.new("RGB", (side, 40))))
    assert image is not None
    assert image.shape[1] == decoded


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 20_000), (20_000, 7), (65_500, 1)])
def test_thin_photo_keeps_a_pixel(size: tuple[int, int]) -> None:
    image = _decoded(_jpeg(Image.new("RGB", size)))
    assert image is not None
    assert min(image.shape[:2]) >= 1


def test_odd_jpegs_are_not_ordinary(photo: bytes, picture: Image.Image) -> None:
    large = Image.new("L", (5000, 4100))
    assert pixels.ordinary_jpeg(_jpeg(large)) is None
    assert pixels.ordinary_jpeg(_jpeg(Image.new("L", (2500, 2000)), progressive=True)) is None
    assert pixels.ordinary_jpeg(_jpeg(picture.convert("CMYK"))) is None
    assert pixels.ordinary_jpeg(photo + b"\xff\xda" * 13) is None
    assert pixels.ordinary_jpeg(hostile.jpeg_of_segments(photo, b"")) is None
    assert pixels.ordinary_jpeg(photo[:2] + b"\0" + photo[2:]) is None
    assert pixels.ordinary_jpeg(hostile.claiming_jpeg(photo, 0, 100)) is None


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 20, 160, 300])
def test_short_files_are_not_ordinary(photo: bytes, length: int) -> None:
    assert pixels.ordinary_jpeg(photo[:length]) is None


def test_damaged_jpegs_are_left_to_decoder(photo: bytes) -> None:
    assert _decoded(photo[: len(photo) // 2]) is None
    assert _decoded(photo[:1000] + Random(1).randbytes(5000)) is None


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II",
        b"II*\0" + struct.pack("<I", 2**32 - 1),
        b"MM\0*" + struct.pack(">IH", 8, 65_535),
        b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, 77),
    ],
)
def test_nonsense_in_exif_is_ignored(photo: bytes, picture: Image.Image, exif: bytes) -> None:
    segment = b"Exif\0\0" + exif
    data = photo[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + photo[2:]
    image = _decoded(data)
    assert image is not None
    assert image.shape == (picture.height, picture.width, 3)
