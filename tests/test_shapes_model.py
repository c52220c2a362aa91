"""The shapes model, which tests and the demo use where there are no weights of others, finds what is drawn."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local import sample
from deploy.local.shapes import export
from deploy.local.shapes.draw import DrawnPhoto, Shape, draw_photo, draw_sample
from detection.choosing import choose
from detection.model import openvino
from detection.model.detector import Detector
from detection.schemas import EVERYTHING, Detection

WEIGHTS = export.WEIGHTS
HELD_OUT_SEEDS = range(2_000_000, 2_000_006)  # Neither learned from nor used to judge the training.


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("YOLO_OFFLINE", "1")
        environment.setenv("YOLO_AUTOINSTALL", "false")
        environment.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("ultralytics")))
        from ultralytics.models import YOLO

        yield YOLO(WEIGHTS)


def found(model: Any, image: Any) -> list[Shape]:
    (result,) = model.predict(image, verbose=False)
    boxes = zip(result.boxes.cls.tolist(), result.boxes.xywhn.tolist(), strict=True)
    return [Shape(model.names[int(number)], *box) for number, box in boxes]


def shown(detector: Detector, drawn: DrawnPhoto) -> list[Detection]:
    return choose(detector.predict(bgr(drawn.image)), EVERYTHING)


def bgr(image: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def overlap(one: Shape, other: Shape) -> float:
    """Return the intersection over union of two boxes."""
    across = min(one.cx + one.width / 2, other.cx + other.width / 2) - max(
        one.cx - one.width / 2, other.cx - other.width / 2
    )
    down = min(one.cy + one.height / 2, other.cy + other.height / 2) - max(
        one.cy - one.height / 2, other.cy - other.height / 2
    )
    shared = max(across, 0) * max(down, 0)
    return shared / (one.width * one.height + other.width * other.height - shared)


@pytest.mark.parametrize("seed", HELD_OUT_SEEDS)
@pytest.mark.parametrize("size", [(640, 480), (1280, 960)])
def test_every_drawn_shape_is_found_once(model: Any, seed: int, size: tuple[int, int]) -> None:
    drawn = draw_photo(seed, *size, clean=True)

    boxes = found(model, drawn.image)

    assert Counter(box.label for box in boxes) == Counter(shape.label for shape in drawn.shapes)
    for shape in drawn.shapes:
        assert max(overlap(shape, box) for box in boxes if box.label == shape.label) > 0.7


def test_all_shapes_of_sample_photo_are_found(model: Any) -> None:
    sample = draw_sample()

    counts = Counter(box.label for box in found(model, sample.image))

    assert counts == Counter(shape.label for shape in sample.shapes) == Counter(circle=2, square=1, triangle=2)


def test_nothing_is_found_where_nothing_is_drawn(model: Any) -> None:
    # Clean, because the lines that clutter other drawings now and then cross into a triangle of their own.
    empty = [draw_photo(seed, objects=0, clean=True) for seed in HELD_OUT_SEEDS]

    assert [found(model, photo.image) for photo in empty] == [[]] * 6


def test_model_runs_at_its_training_size_by_default(model: Any) -> None:
    model.predict(draw_sample().image, verbose=False)

    assert model.predictor.args.imgsz == 320
    assert model.names == {0: "circle", 1: "square", 2: "triangle"}


def assert_the_same(seen: list[Detection], expected: list[Shape]) -> None:
    assert Counter(box.label for box in seen) == Counter(box.label for box in expected)
    for box in seen:
        shape = Shape(box.label, box.cx, box.cy, box.width, box.height)
        assert max(overlap(shape, one) for one in expected if one.label == box.label) >= 0.99


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (640, 640)])
@pytest.mark.parametrize("seed", HELD_OUT_SEEDS)
def test_committed_export_matches_ultralytics_in_rectangles(
    model: Any, detector: Detector, seed: int, size: tuple[int, int]
) -> None:
    """The weights in the shape of the photo, as ultralytics predicts: 4:3 in both directions, and square."""
    drawn = draw_photo(seed, *size, clean=True)
    assert_the_same(shown(detector, drawn), found(model, drawn.image))


@pytest.fixture(scope="module")
def detector() -> Detector:
    assert openvino.sizes_of(export.EXPORT) == [(256, 320), (320, 256), (320, 320)]
    return openvino.load(export.EXPORT)


@pytest.mark.parametrize("size", [(320, 320), (256, 320)])
def test_export_of_one_shape_runs_in_it(model: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    yolo = type(model)
    folder = Path(yolo(shutil.copy(WEIGHTS, tmp_path)).export(format="openvino", quantize=16, imgsz=size))
    detector = openvino.load(folder)
    assert openvino.sizes_of(folder) == [size]
    assert detector.labels == model.names
    for seed in HELD_OUT_SEEDS:
        drawn = draw_photo(seed, 2 * size[1], 2 * size[0], clean=True)
        assert_the_same(shown(detector, drawn), found(model, drawn.image))


def test_demo_runs_committed_export() -> None:
    assert (sample.SHAPES, sample.SHAPES_WEIGHTS) == (export.EXPORT, export.WEIGHTS)


def test_weights_and_export_are_small() -> None:
    assert WEIGHTS.stat().st_size <= 2_000_000
    assert sum(file.stat().st_size for file in export.EXPORT.iterdir()) <= 2_200_000


def test_seed_determines_pixels() -> None:
    first, again, other = draw_photo(7), draw_photo(7), draw_photo(8)

    assert (first.image.tobytes(), first.shapes) == (again.image.tobytes(), again.shapes)
    assert first.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize("objects", [0, 1, 12])
def test_requested_shapes_are_drawn_inside_photo(objects: int) -> None:
    photo = draw_photo(3, width=200, height=300, objects=objects)

    assert (photo.image.size, photo.image.mode, len(photo.shapes)) == ((200, 300), "RGB", objects)
    for shape in photo.shapes:
        assert shape.width / 2 < shape.cx < 1 - shape.width / 2
        assert shape.height / 2 < shape.cy < 1 - shape.height / 2
