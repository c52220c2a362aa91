"""The model sees what ultralytics sees: the way through this service adds no error."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deploy.local import sample
from detection.model import openvino, yolo
from detection.model import weights as model_weights
from detection.model.decoding import DECODER
from detection.model.detector import BOXES_AT_MOST, FLOOR
from detection.picture import pixels
from detection.record.choosing import choose
from detection.record.schemas import EVERYTHING, Detection
from tests.shapes_model.draw import draw_photo, draw_sample
from tests.support.overlap import iou


@pytest.fixture(scope="module")
def model() -> Iterator[yolo.Model]:
    yield yolo.load()
    DECODER.end()


def _detect(model: yolo.Model, photo: bytes) -> list[Detection]:
    jpeg = pixels.ordinary_jpeg(photo)
    assert jpeg is not None
    image = jpeg.decode()
    assert image is not None
    return model.detector.predict(image)


def _jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def _photos(weights: str) -> list[bytes]:
    """Return four photos of what the model knows: of other things it has no opinion worth comparing."""
    if weights == str(sample.SHAPES):
        # In other shapes ultralytics has less grey next to the photo, and its boxes lie a little differently.
        sizes = [(640, 480), (960, 1280), (640, 640), (1200, 900)]
        return [_jpeg(draw_photo(10 + n, *size, clean=True).image) for n, size in enumerate(sizes)]
    bus = Image.open(BytesIO(sample.bus()))
    return [sample.bus(), _jpeg(bus.resize((1400, 1000))), _jpeg(bus.crop((0, 300, 811, 901))), _jpeg(bus.rotate(5))]


def test_objects_of_sample_photo_are_found(model: yolo.Model, weights: str, photo: bytes) -> None:
    found = Counter(box.label for box in choose(_detect(model, photo), EVERYTHING))
    if weights == str(sample.SHAPES):
        assert found == Counter(shape.label for shape in draw_sample().shapes)
    else:
        assert found["bus"] == 1
        assert found["person"] >= 3


@pytest.mark.parametrize("number", range(4))
@pytest.mark.slow
def test_boxes_match_those_of_ultralytics(model: yolo.Model, weights: str, tmp_path: Path, number: int) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(_photos(weights)[number])
    folder = model_weights.ready(weights)
    theirs = model_weights.ultralytics().YOLO(str(folder), task="detect")
    # Of an export for any shape ultralytics does not know the size.
    size = max(openvino.sizes_of(folder)[-1])
    boxes = theirs.predict(str(file), imgsz=size, verbose=False)[0].boxes.cpu().numpy()
    expected = [
        Detection(theirs.names[int(label)], float(confidence), *map(float, xywhn))
        for label, confidence, xywhn in zip(boxes.cls, boxes.conf, boxes.xywhn, strict=True)
    ]
    ours = choose(_detect(model, file.read_bytes()), EVERYTHING)
    assert ours == sorted(ours, key=lambda box: box.confidence, reverse=True)
    assert Counter(box.label for box in ours) == Counter(box.label for box in expected)
    for box in ours:
        same = max((one for one in expected if one.label == box.label), key=partial(iou, box))
        assert iou(box, same) > 0.99
        assert box.confidence == pytest.approx(same.confidence, abs=0.03)


@pytest.mark.parametrize("candidates", [0, 1, 50, 2000])
@pytest.mark.slow
def test_overlaps_are_suppressed_as_ultralytics_does(candidates: int) -> None:
    model_weights.ultralytics()
    import torch
    from ultralytics.utils.nms import non_max_suppression

    rng = np.random.default_rng(candidates)
    places = [rng.uniform(200, 440, (2, candidates)), rng.uniform(80, 160, (2, candidates))]
    output = np.concatenate([*places, rng.uniform(0, 1, (3, candidates)) ** 3]).astype(np.float32)
    expected = non_max_suppression(torch.from_numpy(output[None]), FLOOR, openvino.OVERLAP, max_det=BOXES_AT_MOST)[
        0
    ].numpy()
    corners, confidences, numbers = openvino.suppress(output)
    assert len(confidences) == len(expected)
    assert np.allclose(corners, expected[:, :4], atol=1e-3)
    assert np.array_equal(confidences, expected[:, 4])
    assert np.array_equal(numbers, expected[:, 5])


def test_each_box_is_drawn_on_photo(model: yolo.Model, photo: bytes) -> None:
    boxed = model.box(photo, chat_id=1)
    drawn, plain = Image.open(BytesIO(boxed.jpeg)), Image.open(BytesIO(photo))
    assert drawn.size == plain.size
    changed = np.abs(np.asarray(drawn, int) - np.asarray(plain.convert("RGB"), int)).max(axis=2) > 60
    for box in boxed.detections:
        top, left = (box.cy - box.height / 2) * drawn.height, (box.cx - box.width / 2) * drawn.width
        rows = slice(max(int(top), 0), int(top + box.height * drawn.height) + 1)
        columns = slice(max(int(left), 0), int(left + box.width * drawn.width) + 1)
        assert changed[rows, columns].any()


@pytest.mark.parametrize(
    ("size", "drawn"), [((4000, 3000), (1280, 960)), ((320, 240), (640, 480)), ((60, 1200), (64, 1280))]
)
def test_photo_is_drawn_as_large_as_telegram_shows_it(
    model: yolo.Model, photo: bytes, size: tuple[int, int], drawn: tuple[int, int]
) -> None:
    boxed = Image.open(BytesIO(model.box(_jpeg(Image.open(BytesIO(photo)).resize(size)), chat_id=1).jpeg))
    # A legend comes below the photo.
    assert (boxed.width, min(boxed.height, drawn[1])) == drawn


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 20_000)])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_thin_image_is_answered(model: yolo.Model, size: tuple[int, int], form: str) -> None:
    buffer = BytesIO()
    Image.new("RGB", size, "grey").save(buffer, form)
    assert min(Image.open(BytesIO(model.box(buffer.getvalue(), 1).jpeg)).size) >= 1
