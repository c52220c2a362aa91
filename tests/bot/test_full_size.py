"""A picture at full resolution is drawn strip by strip, and is the same as one that is drawn as a whole."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from detection.picture import blur, draw, full_size, pixels, strips
from detection.picture.render import Scene
from detection.record.schemas import Detection, Options

CLASSES = {"person": 0, "dog": 16}
BOXES = [
    Detection("person", 0.9, 0.3, 0.5, 0.3, 0.8),
    Detection("dog", 0.3, 0.7, 0.45, 0.25, 0.3),
    Detection("dog", 0.8, 0.72, 0.5, 0.02, 0.02),
]
SIZES = [(1, 1), (100, 256), (33, 513), (1500, 1000), (170, 3000)]


def photo(width: int, height: int) -> np.ndarray:
    """Return something smooth, so that a JPEG keeps it."""
    across, down = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    return np.stack([across, down, (across + down) / 2], 2).astype(np.uint8)


def written(image: np.ndarray, step: int = 100) -> bytes:
    writer = strips.Writer(image.shape[1], 1 << 30)
    for top in range(0, len(image), step):
        writer.add(image[top : top + step])
    return writer.finish()


def by_pillow(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(jpeg)).convert("RGB"))[:, :, ::-1]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("size", SIZES)
def test_jpeg_of_strips_is_read_by_other_programs(size: tuple[int, int]) -> None:
    image = photo(*size)
    assert by_pillow(written(image)).shape == image.shape
    assert distance(by_pillow(written(image)), image) < 3


@pytest.mark.parametrize("shrink", [1, 2, 4])
@pytest.mark.parametrize("size", SIZES)
def test_strips_are_read_back(size: tuple[int, int], shrink: int) -> None:
    image = photo(*size)
    read = strips.read(written(image))
    assert read
    assert (read.width, read.height) == size
    rows = np.vstack(list(read.strips(shrink)))
    assert rows.shape == (-(-size[1] // shrink), -(-size[0] // shrink), 3)
    assert distance(rows, image[::shrink, ::shrink]) < 6


def test_rows_may_come_in_any_number() -> None:
    image = photo(70, 700)
    assert len({written(image, step) for step in (1, 16, 100, 256, 700)}) == 1


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\0\0", b"\x89PNG", bytes(100)])
def test_other_data_is_no_jpeg_of_strips(data: bytes) -> None:
    assert strips.read(data) is None
    assert strips.read(pixels.encode_jpeg(photo(50, 50))) is None


def test_damaged_jpeg_of_strips_is_refused() -> None:
    jpeg = written(photo(64, 2000))
    read = strips.read(jpeg[: len(jpeg) // 3])
    assert read
    with pytest.raises(ValueError, match="no restart marker"):
        list(read.strips())


def test_picture_of_too_many_bytes_is_refused() -> None:
    writer = strips.Writer(640, 10_000)
    noise = np.random.default_rng(1).integers(0, 256, (512, 640, 3), dtype=np.uint8)
    with pytest.raises(strips.TooLarge):
        writer.add(noise)


@pytest.mark.parametrize("options", [Options(), Options(labels=False), Options(blur=True)])
@pytest.mark.parametrize("size", [(900, 1300), (1500, 700), (90, 400)])
def test_picture_is_that_drawn_as_a_whole(size: tuple[int, int], options: Options) -> None:
    image = photo(*size)
    whole = image.copy()
    if options.blur:
        blur.blur(whole, BOXES[:1])
    whole = draw.draw(whole, BOXES, CLASSES, labelled=options.labels)
    rows = [image[top : top + 256] for top in range(0, len(image), 256)]
    copy, picture = full_size.draw(rows, size, Scene(image.copy(), BOXES, CLASSES), BOXES, options)
    assert distance(by_pillow(copy), photo(*size)) < 3
    assert by_pillow(picture).shape == whole.shape
    assert distance(by_pillow(picture), by_pillow(pixels.encode_jpeg(whole, 90))) < 0.5


def test_people_are_hidden_by_a_smaller_photo() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    scene = Scene(noise[::4, ::4].copy(), BOXES[:1], CLASSES)
    rows = [noise[top : top + 256].copy() for top in range(0, len(noise), 256)]
    _, picture = full_size.draw(rows, (1600, 1200), scene, [], Options(blur=True))
    inside = by_pillow(picture)[150:590, 260:700]
    assert np.abs(np.diff(inside.astype(int), axis=1)).mean() < 3
    assert distance(by_pillow(picture)[:, 900:], noise[:, 900:]) < 60


def test_picture_without_objects_is_the_photo() -> None:
    image = photo(300, 500)
    _, picture = full_size.draw([image.copy()], (300, 500), Scene(image, [], {}), [], Options())
    assert picture == written(image)
