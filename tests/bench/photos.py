"""Find photos on which the model sees something, and lay them in a folder."""

import importlib.util
import shutil
import sys
from pathlib import Path

from deploy.local import sample
from tests.shapes_model import draw

_SUFFIXES = (".jpg", ".jpeg", ".png")
_DRAWINGS = 6


def lay_out(target: Path, source: Path | None, weights: str) -> list[Path]:
    """Return the photos, copied to `target`: those of `source`, else drawn ones for the model of shapes, else
    the two that ultralytics ships."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if source is None and sample.is_shapes(weights):
        for seed in range(_DRAWINGS):
            draw.draw_photo(seed, width=960, height=720, objects=6).image.save(target / f"{seed}.jpg", quality=90)
    else:
        for file in sorted((source or _shipped()).iterdir()):
            if file.suffix.lower() in _SUFFIXES:
                shutil.copy(file, target)
    photos = sorted(target.iterdir())
    if not photos:
        sys.exit(f"{source} holds no JPEG or PNG file.")
    return photos


def _shipped() -> Path:
    package = importlib.util.find_spec("ultralytics")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "assets"
