"""Choose the demo's model and a photo that suits it."""

import importlib.util
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from django.conf import settings

from deploy.local.shapes.draw import DrawnPhoto, draw_photo

SHAPES = Path(__file__).parent / "shapes" / "shapes.pt"
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
        return Sample(chosen, bus(), f"YOLO_WEIGHTS: {Path(chosen).name}")
    if not chosen and _default_is_here():
        return Sample(_DEFAULT, bus(), f"{_DEFAULT}: 80 kinds of everyday objects (COCO)")
    return Sample(str(SHAPES), _jpeg(drawn()), "shapes.pt, a toy that only knows circles, squares and triangles")


def _default_is_here() -> bool:
    """Download and export the default weights unless already done; return whether they are here now."""
    if not (settings.CACHE_DIR / "weights" / _DEFAULT).is_file() and not _reachable(_PUBLISHED_AT):
        return False
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "export_weights", "--weights", _DEFAULT]
    try:
        return subprocess.run(command, check=False, timeout=_FETCH_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def bus() -> bytes:
    """Return the street scene that ultralytics ships, without importing ultralytics (and torch with it)."""
    package = importlib.util.find_spec("ultralytics")
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / "assets" / "bus.jpg").read_bytes()


def drawn() -> DrawnPhoto:
    """Return a drawing that suits the shapes model, and what is on it."""
    return draw_photo(seed=7, width=960, height=720, objects=6)


def _jpeg(photo: DrawnPhoto) -> bytes:
    buffer = BytesIO()
    photo.image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _reachable(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError:
        return False
    return True
