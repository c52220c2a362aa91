"""YOLOX's network becomes a folder that the worker runs, and sees what it saw before."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command
from numpy.typing import NDArray
from PIL import Image

from botsite import language
from detection.model import checksums, compiling, openvino, weights, yolo, yolox
from detection.model.boxed import Wanted
from detection.model.letterbox import choose, letterbox
from detection.record.schemas import LEAST, SURE, Detection, Options
from tests.support import networks
from tests.support.cases import slow_after
from tests.support.detectors import Seeing
from tests.support.overlap import among

# One of them is square, which the network takes as it is.
PHOTOS = [
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("ultralytics", "assets/bus.jpg"),
    ("ultralytics", "assets/zidane.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/motorcycle_left.png"),
]
LABELS = list(language.PLURALS)


@pytest.fixture(scope="session")
def network() -> Path:
    path = Path(settings.CACHE_DIR) / "weights" / "yolox_nano.onnx"
    assert path.is_file(), f"{path} is missing: `make test` fetches it from the package index."
    return path


@pytest.fixture
def in_f32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in full precision, as both do on a machine without bf16, with an empty cache."""
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    monkeypatch.setattr(compiling, "_OPTIONS", compiling._OPTIONS | {"INFERENCE_PRECISION_HINT": "f32"})


@pytest.fixture(scope="module")
def folder(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "yolox_nano_openvino_model"
    yolox.convert(network, made)
    return made


def image_of(package: str, file: str) -> NDArray[np.uint8]:
    """Return a photo that a package ships as (height, width, 3) BGR, without importing the package."""
    found = find_spec(package)
    assert found is not None, f"{package} is missing: run `make test`, which installs it."
    with Image.open(Path(str(found.origin)).parent / file) as image:
        return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def raw_output(network: Path, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the original network says of a (height, width, 3) BGR image: (cells, 5 + classes)."""
    core = weights.core()
    model = core.read_model(network)
    if list(model.input().shape)[2:] != list(image.shape[:2]):
        model.reshape([1, 3, *image.shape[:2]])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    given: NDArray[np.float32] = compiled([image.transpose(2, 0, 1)[None].astype(np.float32)])[0][0]
    return given


def decoded(raw: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Decode as YOLOX's own demo does: centre, width and height in pixels, then a score for each class."""
    places, strides = list[tuple[int, int]](), list[int]()
    for stride in (8, 16, 32):
        for row in range(height // stride):
            places += [(column, row) for column in range(width // stride)]
        strides += [stride] * (len(places) - len(strides))
    scale = np.array(strides, np.float32)[:, None]
    centre, size = (raw[:, :2] + np.array(places, np.float32)) * scale, np.exp(raw[:, 2:4]) * scale
    return np.concatenate([centre, size, raw[:, 4:5] * raw[:, 5:]], 1)


def plainly(network: Path, image: NDArray[np.uint8], least: float) -> list[Detection]:
    """Return what the original network finds, the surest of overlapping boxes of each class."""
    height, width = image.shape[:2]
    size = choose((height, width), [(320, 416), (416, 320), (416, 416)])
    boxed, placement = letterbox(image, size)
    found: list[Detection] = []
    rows = decoded(raw_output(network, boxed), *size)
    for row in rows[(-rows[:, 4:].max(1)).argsort()]:
        x, y = (row[0] - placement.left) / placement.scale_x, (row[1] - placement.top) / placement.scale_y
        w, h = row[2] / placement.scale_x, row[3] / placement.scale_y
        left, right = np.clip([x - w / 2, x + w / 2], 0, width) / width
        top, bottom = np.clip([y - h / 2, y + h / 2], 0, height) / height
        box = Detection(
            LABELS[row[4:].argmax()],
            float(row[4:].max()),
            (left + right) / 2,
            (top + bottom) / 2,
            right - left,
            bottom - top,
        )
        if box.confidence >= least and not among(box, found, openvino.OVERLAP):
            found.append(box)
    return found


@pytest.mark.usefixtures("in_f32")
@pytest.mark.parametrize(("package", "file"), slow_after(2, PHOTOS))
def test_folder_sees_what_the_network_saw(network: Path, folder: Path, package: str, file: str) -> None:
    image = image_of(package, file)
    ours, theirs = openvino.load(folder).predict(image), plainly(network, image, 0.1)
    for these, those in ((ours, theirs), (theirs, ours)):
        clear = [box for box in these if box.confidence >= LEAST]
        assert clear
        for box in clear:
            assert among(box, those, 0.99), box
    assert {box.label for box in ours if box.confidence >= SURE} == {
        box.label for box in theirs if box.confidence >= SURE
    }


@pytest.mark.usefixtures("in_f32")
@pytest.mark.parametrize(("channels", "side", "name"), [(24, 416, "tiny"), (32, 640, "s")])
def test_other_sizes_are_recognised_by_their_shape(channels: int, side: int, name: str, tmp_path: Path) -> None:
    network, folder = tmp_path / "some.onnx", tmp_path / "some_openvino_model"
    network.write_bytes(networks.yolox(channels, side=side))
    yolox.convert(network, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["metadata.yaml", f"yolox_{name}.bin", f"yolox_{name}.xml"]
    for size in openvino.sizes_of(folder):
        image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
        given = openvino.compiled(folder, size)([image[None]])[0][0]
        expected = decoded(raw_output(network, image), *size).T
        assert np.allclose(given, expected, rtol=0.02, atol=0.02)


def test_folder_says_what_it_is(folder: Path) -> None:
    about: dict[str, Any] = yaml.safe_load((folder / "metadata.yaml").read_text())
    assert (about["license"], about["source"], about["imgsz"]) == ("Apache-2.0", "Megvii YOLOX", [416, 416])
    assert sorted(path.name for path in folder.iterdir()) == ["metadata.yaml", "yolox_nano.bin", "yolox_nano.xml"]
    assert openvino.runs(folder)
    assert openvino.sizes_of(folder) == [(320, 416), (416, 320), (416, 416)]
    detector = openvino.load(folder)
    assert (list(detector.labels.values()), detector.confidence) == (LABELS, yolox.CONFIDENCE)


@pytest.mark.slow
def test_command_converts_once(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    for library in ("torch", "ultralytics", "onnx"):
        monkeypatch.setitem(sys.modules, library, None)
    call_command("export_weights", "--weights", str(network))
    folder = Path(capsys.readouterr().out.strip().removeprefix("The worker loads "))
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    call_command("export_weights", "--weights", str(network), "--sha256", checksums.of(network))
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == made
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [folder.name]
    assert len(list((tmp_path / "compiled").iterdir())) == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<html>not found</html>", "can't read"),
        (networks.yolox(16, given=15), "takes and gives something else"),
        (networks.yolox(16, decoded=True), "decodes its boxes"),
        (networks.yolox(20), "is not YOLOX-Nano, Tiny or S"),
    ],
    ids=["page", "classes", "decoded", "width"],
)
def test_other_file_gets_a_sentence(
    content: bytes, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path / "cache")
    network = tmp_path / "some.onnx"
    network.write_bytes(content)
    with pytest.raises(CommandError, match=f"^{network} .*{sentence}|^OpenVINO {sentence} {network}"):
        call_command("export_weights", "--weights", str(network))
    assert not list((tmp_path / "cache").rglob("*.xml"))


def test_changed_file_is_not_converted(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    with pytest.raises(CommandError, match="was not opened"):
        call_command("export_weights", "--weights", str(network), "--sha256", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_calibration_is_for_pt_files(network: Path) -> None:
    with pytest.raises(CommandError, match="can't be calibrated"):
        call_command("export_weights", "--weights", str(network), "--calibration", "data.yaml")


def test_faster_process_keeps_its_folder(network: Path, folder: Path) -> None:
    made = {path.name: path.stat().st_ino for path in folder.iterdir()}
    yolox.convert(network, folder)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == made
    assert list(folder.parent.iterdir()) == [folder]


def test_family_is_chosen_by_what_the_folder_says(folder: Path) -> None:
    assert next(family for family in yolo._FAMILIES if family.runs(folder)) is openvino
    assert next(family for family in yolo._FAMILIES if family.runs(folder.parent)) is not openvino


@pytest.mark.parametrize(
    ("confidence", "asked", "stored", "shown"),
    [(0.35, None, 0.35, 1), (0.35, 0.2, 0.2, 2), (LEAST, None, None, 2)],
)
def test_model_has_a_default_confidence_of_its_own(
    photo: bytes, confidence: float, asked: float | None, stored: float | None, shown: int
) -> None:
    boxes = [Detection("cat", sure, 0.5, 0.5, 0.5, 0.5) for sure in (0.9, 0.3)]
    seeing = Seeing(lambda image, least: boxes, {0: "cat"}, confidence)
    boxed = seeing.model.box(photo, 1, Wanted(Options(least=asked)))
    assert (boxed.options.least, len(boxed.detections), len(boxed.candidates)) == (stored, shown, 2)
