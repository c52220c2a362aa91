"""Weights are found, exported once, and ultralytics keeps to itself."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from deploy.local import sample
from detection.model import checksums, openvino, weights, yolo
from tests.shapes_model import untrained

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_pt_file_is_exported_once_and_sees_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    network = untrained.write(tmp_path)
    call_command("export_weights", "--weights", str(network))
    folder = Path(capsys.readouterr().out.strip().removeprefix("The worker loads "))
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    call_command("export_weights", "--weights", str(network))
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == made
    assert weights.ready(str(network)) == folder
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [folder.name]
    assert len(list((tmp_path / "compiled").iterdir())) == len(openvino.sizes_of(folder)) == 3
    for size in openvino.sizes_of(folder):
        assert untrained.agreement(network, folder, size) > 0.999


def test_exported_model_is_loaded_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("export_weights", "--weights", "some_openvino_model")
    assert "already exported" in capsys.readouterr().out


@pytest.mark.slow
def test_exported_model_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    call_command("export_weights", "--weights", str(sample.SHAPES))
    assert [path.name for path in tmp_path.iterdir()] == ["compiled"]


@pytest.mark.parametrize("name", ["missing.onnx", "/nowhere/missing.pt"])
def test_missing_weights_are_named(name: str) -> None:
    with pytest.raises(weights.WeightsMissing, match="does not exist"):
        weights.ready(name)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a published name in the cache; whoever unpickles them leaves a file named `opened`."""
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    path = tmp_path / "weights" / "yolo11n.pt"
    path.parent.mkdir()

    class Opened:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "opened",)

    path.write_bytes(pickle.dumps(Opened()))
    return path


def test_changed_published_weights_are_never_opened(trap: Path) -> None:
    with pytest.raises(weights.WeightsRefused, match="it was not opened"):
        weights.ready("yolo11n.pt")
    with pytest.raises(CommandError, match=f"{checksums.of(trap)}, and not {checksums.PUBLISHED['yolo11n.pt']}"):
        call_command("export_weights", "--weights", "yolo11n.pt")
    assert not (trap.parent.parent / "opened").exists()


@pytest.mark.slow
def test_own_weights_are_opened_only_with_their_named_checksum(trap: Path) -> None:
    with pytest.raises(CommandError, match="name its checksum"):
        call_command("export_weights", "--weights", str(trap), "--sha256", "0" * 64)
    assert not (trap.parent.parent / "opened").exists()
    with suppress(Exception):  # What it unpickles to is no model.
        call_command("export_weights", "--weights", str(trap), "--sha256", checksums.of(trap))
    assert (trap.parent.parent / "opened").exists()


@pytest.mark.parametrize(("name", "sha256"), [("nobodys.pt", ""), ("yolo11n.pt", "abc")])
def test_nothing_is_downloaded_without_a_checksum(
    name: str, sha256: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    with pytest.raises(weights.WeightsRefused, match="SHA-256"):
        weights.locate(Path(name), sha256)
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_give_advice() -> None:
    with pytest.raises(CommandError, match="does not exist"):
        call_command("export_weights", "--weights", "/nowhere/missing.pt")


@pytest.fixture
def without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have neither PyTorch nor ultralytics, as the demo and the images, and an empty cache."""
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "ultralytics", None)


@pytest.mark.usefixtures("without_pytorch")
@pytest.mark.parametrize("name", ["own.pt", "yolo11n.pt"])
def test_pt_file_without_pytorch_gives_advice(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.pt").touch()
    for look in (weights.check, weights.ready):
        with pytest.raises(weights.WeightsMissing, match="`make torch`") as raised:
            look(name)
        assert str(raised.value).count(". ") == 0
    with pytest.raises(CommandError, match="`make torch`"):
        call_command("export_weights", "--weights", name)


@pytest.mark.usefixtures("without_pytorch")
def test_exports_need_no_pytorch(tmp_path: Path) -> None:
    assert weights.ready(str(sample.SHAPES)) == sample.SHAPES
    (file := tmp_path / "own.pt").write_bytes(b"weights")
    cached = weights.exported(file, "fp16")
    shutil.copytree(sample.SHAPES, cached)
    assert cached.is_relative_to(tmp_path)
    assert weights.ready(str(file)) == cached


@pytest.mark.slow
def test_ultralytics_stays_offline_and_within_cache(tmp_path: Path) -> None:
    code = (
        "import django, json; django.setup(); from detection.model import weights; u = weights.ultralytics().utils;"
        "from ultralytics.utils import events; print(json.dumps([u.ONLINE, u.AUTOINSTALL, events.events.enabled,"
        " str(u.SETTINGS_FILE)]))"
    )
    env = os.environ | {"CACHE_DIR": str(tmp_path), "HOME": str(tmp_path / "home")}
    for name in ("YOLO_OFFLINE", "YOLO_AUTOINSTALL", "YOLO_CONFIG_DIR"):
        env.pop(name, None)
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    online, autoinstall, statistics, file = json.loads(ended.stdout.splitlines()[-1])
    assert (online, autoinstall, statistics) == (False, False, False)
    assert Path(file).is_relative_to(tmp_path)
    assert not (tmp_path / "home").exists()


def test_model_is_loaded_once_per_process() -> None:
    assert yolo.load() is yolo.load()
