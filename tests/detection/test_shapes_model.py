"""The shapes model, which tests and the demo use where there are no weights of others, finds what is drawn."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from deploy.local import sample
from detection.model import openvino, weights
from detection.model.detector import Detector
from detection.record.choosing import choose
from detection.record.schemas import EVERYTHING, Detection
from tests.shapes_model import untrained
from tests.shapes_model.draw import LABELS, DrawnPhoto, Shape, draw_photo, draw_sample
from tests.shapes_model.train import IMAGE_SIZE

HELD_OUT_SEEDS = range(2_000_000, 2_000_006)  # Neither learned from nor used to judge the training.


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("YOLO_OFFLINE", "1")
        environment.setenv("YOLO_AUTOINSTALL", "false")
        environment.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("ultralytics")))
        from ultralytics.models import YOLO

        yield YOLO(sample.SHAPES, task="detect")


def found(model: Any, image: Any) -> list[Shape]:
    (result,) = model.predict(image, imgsz=IMAGE_SIZE, verbose=False)
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


def test_all_shapes_of_committed_drawing_are_found(model: Any) -> None:
    drawn, committed = draw_sample(), Image.open(sample.DRAWING)

    assert np.abs(np.asarray(drawn.image, int) - np.asarray(committed, int)).mean() < 3
    counts = Counter(box.label for box in found(model, committed))
    assert counts == Counter(shape.label for shape in drawn.shapes) == Counter(circle=3, square=1, triangle=2)


def test_nothing_is_found_where_nothing_is_drawn(model: Any) -> None:
    # Clean, because the lines that clutter other drawings now and then cross into a triangle of their own.
    empty = [draw_photo(seed, objects=0, clean=True) for seed in HELD_OUT_SEEDS]

    assert [found(model, photo.image) for photo in empty] == [[]] * 6


def assert_the_same(seen: list[Detection], expected: list[Shape]) -> None:
    assert Counter(box.label for box in seen) == Counter(box.label for box in expected)
    for box in seen:
        shape = Shape(box.label, box.cx, box.cy, box.width, box.height)
        assert max(overlap(shape, one) for one in expected if one.label == box.label) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (640, 640)])
@pytest.mark.parametrize("seed", HELD_OUT_SEEDS)
def test_committed_export_matches_ultralytics_in_rectangles(
    model: Any, detector: Detector, seed: int, size: tuple[int, int]
) -> None:
    """In the shape of the photo: 4:3 in both directions, and square."""
    drawn = draw_photo(seed, *size, clean=True)
    assert_the_same(shown(detector, drawn), found(model, drawn.image))


@pytest.fixture(scope="module")
def detector() -> Detector:
    assert openvino.sizes_of(sample.SHAPES) == [(256, 320), (320, 256), (IMAGE_SIZE, IMAGE_SIZE)]
    detector = openvino.load(sample.SHAPES)
    assert detector.labels == dict(enumerate(LABELS))
    return detector


@pytest.mark.parametrize("size", [(320, 320), (256, 320)])
def test_export_of_one_shape_runs_in_it(detector: Detector, tmp_path: Path, size: tuple[int, int]) -> None:
    folder = of_one_size(sample.SHAPES, tmp_path / "one_openvino_model", size)
    assert openvino.sizes_of(folder) == [size]
    in_one_size = openvino.load(folder)
    assert in_one_size.labels == dict(enumerate(LABELS))
    for seed in HELD_OUT_SEEDS:
        drawn = draw_photo(seed, 2 * size[1], 2 * size[0], clean=True)
        assert shown(in_one_size, drawn) == shown(detector, drawn)


def of_one_size(folder: Path, target: Path, size: tuple[int, int]) -> Path:
    """Write the export as one that takes images of one size, as ultralytics makes it unless told otherwise."""
    target.mkdir()
    network = weights.core().read_model(next(folder.glob("*.xml")))
    network.reshape([1, 3, *size])
    ov.save_model(network, target / "one.xml")
    about = yaml.safe_load((folder / "metadata.yaml").read_text())
    about |= {"imgsz": list(size), "args": about["args"] | {"dynamic": False}}
    (target / "metadata.yaml").write_text(yaml.safe_dump(about))
    return target


@pytest.mark.slow
@pytest.mark.parametrize("size", [(320, 320), (256, 320)])
def test_ultralytics_exports_one_shape_unless_told_otherwise(tmp_path: Path, size: tuple[int, int]) -> None:
    network = untrained.write(tmp_path)
    folder = Path(weights.ultralytics().YOLO(network).export(format="openvino", quantize=16, imgsz=size))
    assert openvino.runs(folder)
    assert openvino.sizes_of(folder) == [size]
    assert untrained.agreement(network, folder, size) > 0.999


def test_export_is_small() -> None:
    assert sum(file.stat().st_size for file in sample.SHAPES.iterdir()) <= 2_200_000


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
