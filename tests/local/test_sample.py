"""Whoever tries the service gets the best model that is here, and a photo that suits it."""

import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image

from deploy.local import everyday, sample
from detection.model import openvino, weights

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have an empty cache, and no YOLO_WEIGHTS."""
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    monkeypatch.delenv("YOLO_WEIGHTS")
    return tmp_path


@pytest.fixture
def fetched(cache: Path, yolox_nano: Path) -> Path:
    """Have YOLOX-Nano in the cache, as it is fetched."""
    network = everyday.network(cache)
    network.parent.mkdir()
    for file in (yolox_nano, everyday.licence(yolox_nano)):
        shutil.copy(file, network.parent)
    return network


@pytest.fixture
def yolo11n(cache: Path) -> Path:
    """Have something in the cache that was exported as YOLO11n."""
    path = cache / "weights" / "yolo11n.pt"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"weights")
    shutil.copytree(sample.SHAPES, weights.exported(path, "fp16"))
    return path


def test_named_weights_come_first(fetched: Path, yolo11n: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_WEIGHTS", "/some/own_openvino_model")
    chosen = sample.choose()
    assert (chosen.weights, chosen.sentence) == ("/some/own_openvino_model", "YOLO_WEIGHTS: own_openvino_model")
    assert Image.open(BytesIO(chosen.photo)).format == "JPEG"


def test_exported_yolo11n_comes_before_yolox(fetched: Path, yolo11n: Path) -> None:
    assert sample.choose().weights == "yolo11n.pt"


def test_yolo11n_that_is_not_exported_is_left_alone(fetched: Path, yolo11n: Path) -> None:
    shutil.rmtree(weights.exported(yolo11n, "fp16"))
    assert "YOLOX-Nano" in sample.choose().sentence


def test_yolox_is_converted_once(fetched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = sample.choose()
    assert "converting YOLOX-Nano" in capsys.readouterr().err
    assert openvino.runs(Path(chosen.weights))
    assert chosen.photo == sample.portrait()
    assert chosen.sentence.startswith("YOLOX-Nano: 80 kinds of everyday objects")
    made = {path.name: path.stat().st_mtime_ns for path in Path(chosen.weights).iterdir()}
    assert sample.choose() == chosen
    assert capsys.readouterr().err == ""
    assert {path.name: path.stat().st_mtime_ns for path in Path(chosen.weights).iterdir()} == made


def test_damaged_network_is_not_converted(fetched: Path) -> None:
    fetched.write_bytes(fetched.read_bytes()[:-1])
    assert sample.choose().weights == str(sample.SHAPES)


def test_shapes_serve_where_nothing_else_is(cache: Path) -> None:
    chosen = sample.choose()
    assert chosen.weights == str(sample.SHAPES)
    assert "make demo" in chosen.sentence
    assert "make torch" in chosen.sentence


def test_measurements_do_not_depend_on_cache(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sample.repeatable() == str(sample.SHAPES)
    monkeypatch.setenv("YOLO_WEIGHTS", "some_openvino_model")
    assert sample.repeatable() == "some_openvino_model"


def test_photograph_needs_no_drawing(fetched: Path) -> None:
    code = (
        "import django, sys; django.setup(); from deploy.local import sample; sample.choose();"
        "print([name for name in sys.modules if name.startswith(('deploy.local.shapes', 'matplotlib', 'torch'))])"
    )
    env = {name: value for name, value in os.environ.items() if name != "YOLO_WEIGHTS"}
    env["CACHE_DIR"] = str(settings.CACHE_DIR)
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
