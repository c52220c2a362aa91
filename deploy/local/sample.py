"""Choose the model that answers on this machine, and a photo that suits it."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from deploy.local import everyday
from detection.model import weights

# The model of shapes as the worker runs it, and a drawing for it (tests/shapes_model/train.py).
SHAPES = Path(__file__).parent / "shapes" / "shapes_openvino_model"
DRAWING = SHAPES.with_name("drawing.jpg")
_YOLO11N = "yolo11n.pt"
_NANO = "YOLOX-Nano: 80 kinds of everyday objects, fast (25 AP on COCO); for YOLO11n (39 AP): make torch"
_TOY = "shapes, a toy that only knows circles, squares and triangles"
_NO_NANO = f"{_TOY}. For everyday objects: make demo fetches YOLOX-Nano where the package index has it, else make torch"


@dataclass(frozen=True, slots=True)
class Sample:
    """A model, a photo that suits it, and a sentence that names the model."""

    weights: str
    photo: bytes
    sentence: str


def choose() -> Sample:
    """Return the model that the demo runs here; YOLOX-Nano is converted first, once."""
    name, sentence = model()
    if sentence is not _NANO:
        return Sample(name, suiting(name), sentence)
    from detection.model import yolox

    if not weights.exported(Path(name), "fp16").is_dir():
        sys.stderr.write("converting YOLOX-Nano for OpenVINO, once: a second or two\n")
    return Sample(str(yolox.export(Path(name))), portrait(), sentence)


def model() -> tuple[str, str]:
    """Return the weights that `choose` takes, and their name in a sentence. Nothing is fetched or converted.

    They are those that YOLO_WEIGHTS names, else YOLO11n if somebody has exported it, else YOLOX-Nano if it was fetched,
    else the shapes model.
    """
    if named := os.environ.get("YOLO_WEIGHTS"):
        return named, _TOY if is_shapes(named) else f"YOLO_WEIGHTS: {Path(named).name}"
    if weights.is_exported(Path(_YOLO11N)):
        return _YOLO11N, "YOLO11n: 80 kinds of everyday objects (39 AP on COCO)"
    network = everyday.network(settings.CACHE_DIR)
    return (str(network), _NANO) if everyday.is_here(network) else (str(SHAPES), _NO_NANO)


def repeatable() -> str:
    """Return YOLO_WEIGHTS, else the shapes model: what is measured must not depend on what this machine has fetched."""
    return os.environ.get("YOLO_WEIGHTS") or str(SHAPES)


def suiting(name: str) -> bytes:
    """Return a photo with objects that these weights know."""
    return DRAWING.read_bytes() if is_shapes(name) else everyday_photo()


def is_shapes(name: str) -> bool:
    """Return whether these are the weights of the shapes model."""
    return Path(name).resolve() == SHAPES


def everyday_photo() -> bytes:
    """Return a photo of everyday objects: the street scene, or the portrait where ultralytics is not installed."""
    return bus() if importlib.util.find_spec("ultralytics") else portrait()


def portrait() -> bytes:
    """Return the portrait that matplotlib ships: Grace Hopper, in a photograph of the US Navy."""
    return shipped("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")


def bus() -> bytes:
    """Return the street scene that ultralytics ships."""
    return shipped("ultralytics", "assets/bus.jpg")


def shipped(package: str, file: str) -> bytes:
    """Return a file of a package without importing the package (and torch or so with it)."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / file).read_bytes()
