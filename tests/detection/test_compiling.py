"""A model is compiled once for each size, and no file in the cache can break it."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from numpy.typing import NDArray

from deploy.local.sample import SHAPES
from detection.model import openvino
from tests.support.cases import slow_after

SIZE = (256, 320)
IMAGE = np.random.default_rng(0).integers(0, 255, (1, *SIZE, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "CACHE_DIR", tmp_path)
    return tmp_path / "compiled"


def run(folder: Path = SHAPES) -> NDArray[np.float32]:
    compiled = openvino.compiled(folder, SIZE)
    return np.array(compiled.create_infer_request().infer([IMAGE])[0])


def state(cache: Path) -> dict[str, int]:
    return {file.name: file.stat().st_ino for file in cache.iterdir()}


def test_model_is_compiled_once(cache: Path) -> None:
    first = run()
    kept = state(cache)

    assert np.array_equal(run(), first)
    assert state(cache) == kept
    assert len(kept) == 1


@pytest.mark.slow
def test_models_and_sizes_are_kept_apart(cache: Path, tmp_path: Path) -> None:
    other = shutil.copytree(SHAPES, tmp_path / "other_openvino_model")
    weights = bytearray((other / "shapes.bin").read_bytes())
    weights[-1] ^= 1
    (other / "shapes.bin").write_bytes(weights)

    for folder in (SHAPES, other):
        for size in openvino.sizes_of(folder):
            openvino.compiled(folder, size)

    assert len(state(cache)) == 6


def test_moved_model_is_not_compiled_again(cache: Path, tmp_path: Path) -> None:
    run()
    kept = state(cache)
    run(shutil.copytree(SHAPES, tmp_path / "moved_openvino_model"))
    assert state(cache) == kept


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip(content: bytes) -> bytes:
    """Return it with a weight changed, which OpenVINO does not notice."""
    return content[:1_000_000] + bytes([content[1_000_000] ^ 64]) + content[1_000_001:]


def _signed(blob: bytes) -> bytes:
    return hashlib.sha256(blob).digest() + blob


def _of_another_cpu(content: bytes) -> bytes:
    return _signed(content[32:].replace(b";isa=", b";ISA=", 1))


def _of_another_release(content: bytes) -> bytes:
    return _signed(content[32:].replace(b";ov=2", b";ov=1", 1))


@pytest.mark.parametrize(
    "change",
    slow_after(
        2,
        [
            _flip,
            _of_another_release,
            _cut,
            _of_another_cpu,
            lambda content: b"",
            lambda content: b"something else",
            lambda content: _signed(b"something else"),
        ],
    ),
)
def test_damaged_or_foreign_file_is_replaced(cache: Path, change: Callable[[bytes], bytes]) -> None:
    expected = run()
    (file,) = cache.iterdir()
    good = file.read_bytes()
    file.write_bytes(change(good))
    assert file.read_bytes() != good

    assert np.array_equal(run(), expected)

    kept = state(cache)
    assert np.array_equal(run(), expected)
    assert state(cache) == kept
    assert list(kept) == [file.name]


def test_model_runs_without_a_cache(tmp_path: Path, cache: Path) -> None:
    expected = run()
    shutil.rmtree(cache)
    cache.write_text("not a folder")
    assert np.array_equal(run(), expected)


def test_simultaneous_photos_of_a_new_shape(cache: Path) -> None:
    export = openvino.load(SHAPES)
    assert len(state(cache)) == 1
    portrait = np.ascontiguousarray(IMAGE[0].transpose(1, 0, 2))

    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(export.predict, [portrait] * export.at_once))

    assert all(one == seen[0] for one in seen)
    assert len(state(cache)) == 2


def test_signal_reaches_a_process_that_has_dropped_a_model() -> None:
    """Each OpenVINO runtime sets the signal stack; those who were dropped left it in memory that is freed."""
    program = f"""
import signal
from pathlib import Path
import django
django.setup()
from detection.model import openvino
first = openvino.compiled(Path({str(SHAPES)!r}), {SIZE})
second = openvino.compiled(Path({str(SHAPES)!r}), {SIZE})
del first, second
signal.signal(signal.SIGTERM, lambda number, frame: print("heard"))
signal.raise_signal(signal.SIGTERM)
"""
    told = subprocess.run([sys.executable, "-c", program], check=False, stdout=subprocess.PIPE, text=True)
    assert (told.returncode, told.stdout) == (0, "heard\n")
