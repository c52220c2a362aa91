"""A photo gets the smallest of the model's shapes that it fits into, and boxes are found in it again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.model.letterbox import Size, choose, letterbox, shapes

SIDES = st.integers(1, 6000)
SQUARES = st.sampled_from([320, 640, 1280])


@pytest.mark.parametrize(
    ("photo", "shape"),
    [
        ((960, 1280), (480, 640)),
        ((1280, 960), (640, 480)),
        ((426, 640), (480, 640)),  # 3:2
        ((1280, 720), (640, 480)),  # 16:9
        ((1280, 591), (640, 480)),  # a screenshot
        ((3072, 4080), (480, 640)),  # almost 4:3
        ((900, 1000), (640, 640)),
        ((1000, 1000), (640, 640)),
        ((1, 1), (640, 640)),
        ((1, 5000), (480, 640)),
    ],
)
def test_shape_suits_the_photo(photo: Size, shape: Size) -> None:
    assert choose(photo, shapes(640)) == shape


def test_shapes_are_multiples_of_the_stride() -> None:
    assert shapes(640) == [(480, 640), (640, 480), (640, 640)]
    assert shapes(320) == [(256, 320), (320, 256), (320, 320)]


@given(SIDES, SIDES, SQUARES)
def test_photo_keeps_the_size_it_has_in_the_square(height: int, width: int, square: int) -> None:
    chosen = choose((height, width), shapes(square))
    scale, most = min(chosen[0] / height, chosen[1] / width), square / max(height, width)
    assert 0.99 * most <= scale <= most


@given(SIDES, SIDES, SQUARES)
def test_chosen_shape_is_the_smallest(height: int, width: int, square: int) -> None:
    chosen = choose((height, width), shapes(square))
    for shape in shapes(square):
        if shape[0] * shape[1] < chosen[0] * chosen[1]:
            assert min(shape[0] / height, shape[1] / width) < 0.99 * square / max(height, width)


@given(SIDES, SIDES)
def test_single_shape_takes_every_photo(height: int, width: int) -> None:
    assert choose((height, width), [(384, 640)]) == (384, 640)


@settings(max_examples=40)
@given(st.integers(1, 1500), st.integers(1, 1500), st.data())
def test_boxes_map_back_as_from_the_square(height: int, width: int, data: st.DataObject) -> None:
    """Within a pixel of the input, whatever the photo's size: a white box on black, as far as it can be seen."""
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    image = np.zeros((height, width, 3), np.uint8)
    image[top:bottom, left:right] = 255

    in_chosen = found_white(image, choose((height, width), shapes(640)))
    in_square = found_white(image, (640, 640))

    if in_chosen and in_square:
        pixel = max(height, width) / 640
        assert in_chosen == pytest.approx(in_square, abs=1.02 * pixel)
        assert in_chosen == pytest.approx([left, top, right, bottom], abs=1.02 * pixel)


def found_white(image: np.ndarray, size: Size) -> list[float]:
    """Return where an input of the model shows white, in pixels of the image: left, top, right, bottom, or nothing."""
    boxed, placement = letterbox(image, size)
    rows, columns = (boxed[:, :, 0] > 127).nonzero()
    if not len(rows):
        return []
    corners = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    found: list[float] = placement.in_image(corners)[0].tolist()
    return found
