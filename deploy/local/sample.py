"""Choose the demo's model and a photo that suits it."""

import importlib.util
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from detection.model import weights

# The model of shapes as the worker runs it, and a drawing for it (tests/shapes_model/train.py).
SHAPES = Path(__file__).parent / "shapes" / "shapes_openvino_model"
DRAWING = SHAPES.with_name("drawing.jpg")
_DEFAULT = "yolo11n.pt"
# Where ultralytics publishes its weights.
_PUBLISHED_AT = ("github.com", 443)
_FETCH_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Sample:
    """A model, a photo that suits it, and a sentence that names the model."""

    weights: str
    photo: bytes
    sentence: str


def choose() -> Sample:
    """Return what YOLO_WEIGHTS names, else the default weights if available, else the shapes model."""
    chosen = os.environ.get("YOLO_WEIGHTS", "")
    if chosen and Path(chosen).resolve() != SHAPES:
        return Sample(chosen, everyday(), f"YOLO_WEIGHTS: {Path(chosen).name}")
    if not chosen and _default_is_here():
        return Sample(_DEFAULT, everyday(), f"{_DEFAULT}: 80 kinds of everyday objects (COCO)")
    toy = "shapes, a toy that only knows circles, squares and triangles"
    if not chosen and not weights.can_export():
        toy += f". For {_DEFAULT}, which knows everyday objects: make torch"
    return Sample(chosen or str(SHAPES), DRAWING.read_bytes(), toy)


def _default_is_here() -> bool:
    """Download and export the default weights unless already done; return whether they are here now."""
    cached = (settings.CACHE_DIR / "weights" / _DEFAULT).is_file()
    if not cached and not (weights.can_export() and _reachable(_PUBLISHED_AT)):
        return False
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "export_weights", "--weights", _DEFAULT]
    try:
        return subprocess.run(command, check=False, timeout=_FETCH_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def everyday() -> bytes:
    """Return a photo of everyday objects: the street scene, or without ultralytics a portrait that matplotlib ships."""
    if importlib.util.find_spec("ultralytics"):
        return bus()
    return _shipped("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")


def bus() -> bytes:
    """Return the street scene that ultralytics ships."""
    return _shipped("ultralytics", "assets/bus.jpg")


def _shipped(package: str, file: str) -> bytes:
    """Return a file of a package without importing the package (and torch or so with it)."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / file).read_bytes()


def _reachable(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError:
        return False
    return True
