"""A stranger's file costs its sender a sentence, and the worker next to nothing."""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection.model import decoding, yolo
from detection.model.boxed import Boxed, Wanted
from detection.model.decoding import DECODER
from detection.picture import image_headers, render
from detection.record.schemas import Detection
from tests.support.detectors import Seeing
from tests.support.hostile import Hostile, Outcome, zoo

_MEGABYTE = 1 << 20
_PR_SET_DUMPABLE = 4
_NAMES = [hostile.name for hostile in zoo(b"")]
# What takes seconds, but for a few, and the pictures at full size.
_LONG = re.compile(r"megapixels|megabytes|inflating|one_colour|heic|avif")
_QUICK = {("png_900_megapixels", False), ("png_48_megapixels", False), ("avif_noise_behind_the_header", False)}
_QUICK |= {("heic_truncated", False), ("png_60000x1", True)}
_CASES = [
    case if case in _QUICK or not (case[1] or _LONG.search(case[0])) else pytest.param(*case, marks=pytest.mark.slow)
    for case in product(_NAMES, (False, True))
]


@pytest.fixture(scope="module")
def model() -> Iterator[yolo.Model]:
    """Return a model that sees one object on anything."""
    yield Seeing(lambda image, least: [Detection("thing", 0.5, 0.5, 0.5, 0.5, 0.5)], {0: "thing"}).model
    DECODER.end()


@pytest.fixture
def hostile(photo: bytes, name: str) -> Hostile:
    return next(hostile for hostile in zoo(photo) if hostile.name == name)


def _memory(process: int | str, field: str) -> int:
    """Return a size of /proc/PID/status in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) * 1024


def _small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((16, 16)), float)


def _answer(model: yolo.Model, data: bytes, full: bool) -> Boxed | str:
    """Return the picture, or the sentence that refuses the file."""
    try:
        return model.box(data, 1, Wanted(full=full))
    except image_headers.UnreadableImage as error:
        return str(error)


def test_hostile_files_are_many_and_can_be_sent() -> None:
    assert len(_NAMES) == len(set(_NAMES)) >= 30


@pytest.mark.parametrize(("name", "full"), _CASES)
def test_file_is_answered_or_refused(model: yolo.Model, photo: bytes, hostile: Hostile, full: bool) -> None:
    data = hostile.make()
    assert len(data) < 20 * _MEGABYTE
    with _little_memory(hostile.name, full):
        answer = _answer(model, data, full)
    if isinstance(answer, str):
        assert hostile.outcome in (Outcome.REFUSED, Outcome.EITHER)
        assert answer[-1] in ".)"
        return
    assert hostile.outcome is not Outcome.REFUSED
    boxed = Image.open(BytesIO(answer.jpeg))
    assert 1 <= min(boxed.size) <= max(boxed.size) <= render.DRAWN_SIDE
    if answer.full:
        drawn = Image.open(BytesIO(answer.full))
        assert max(drawn.size) <= decoding.FULL_SIDE * 1.4
        # Of a picture of a few pixels, a box leaves nothing to see.
        assert min(drawn.size) < 16 or np.abs(_small(boxed) - _small(drawn)).mean() < 25
    if hostile.outcome is Outcome.BOXED:
        assert np.abs(_small(boxed) - _small(Image.open(BytesIO(photo)))).mean() < 70


@contextmanager
def _little_memory(name: str, full: bool) -> Iterator[None]:
    """Check that a large file takes little memory of the worker, and a bounded amount of the decoder."""
    if "megapixels" not in name and "megabytes" not in name:
        yield
        return
    # Peaks begin again. The decoder has hidden this process from others of its user, and its file with that.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("self", "VmHWM")
    yield
    # A picture at full size and its copy, both while they are put together.
    assert _memory("self", "VmHWM") - before < (256 if full else 64) * _MEGABYTE
    if DECODER.pid:
        assert _memory(DECODER.pid, "VmHWM") < 400 * _MEGABYTE


@pytest.mark.parametrize("name", ["jpg_20_megabytes_of_segments"])
def test_photo_after_bomb_is_answered(model: yolo.Model, photo: bytes, hostile: Hostile) -> None:
    with pytest.raises(image_headers.UnreadableImage):
        model.box(hostile.make(), chat_id=1)
    buffer = BytesIO()
    Image.open(BytesIO(photo)).save(buffer, "PNG")
    assert model.box(buffer.getvalue(), chat_id=2).detections
