"""Compare an export with a reference: CPU of detection a photo, what it says of each, and which sure boxes it misses.

    python -m tests.bench.models REFERENCE_FOLDER FOLDER PHOTO_OR_FOLDER ...

Both detect the same photos in turns, in one process. A box of the reference that is sure counts as found where the
other has one with the same label and an IoU of at least 0.5.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import django
import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from detection.model.detector import Detector
    from detection.record.schemas import Detection

_ROUNDS = 9
_ENDINGS = (".jpg", ".jpeg", ".png")
# The level at which the models are compared, whatever their defaults are.
_COMPARED, _SAME = 0.3, 0.5
_HEAD = "| photo | sure | perhaps | possible |\n| --- | --- | --- | --- |\n"
Photos = dict[str, NDArray[np.uint8]]


def main(reference: Path, other: Path, sources: list[Path]) -> None:
    """Print three tables."""
    from detection.model import openvino

    photos = {file.name: _bgr(file) for source in sources for file in _files(source)}
    models = {folder.name: openvino.load(folder) for folder in (reference, other)}
    say_cpu(models, photos)
    say_answers(models[other.name], photos)
    say_lost(models[reference.name], models[other.name], photos)


def say_cpu(models: Mapping[str, "Detector"], photos: Photos) -> None:
    """Print what each model takes, the first being 1."""
    taken: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(_ROUNDS):
        for name, model in models.items():
            started = time.process_time()
            for image in photos.values():
                model.predict(image)
            taken[name].append((time.process_time() - started) / len(photos) * 1000)
    first = median(taken[next(iter(models))])
    sys.stdout.write(f"CPU of detection, median of {_ROUNDS} rounds of {len(photos)} photos\n")
    for name, rounds in taken.items():
        sys.stdout.write(f"{name:40} {median(rounds):6.1f} ms a photo  {median(rounds) / first:.2f}\n")


def say_answers(model: "Detector", photos: Photos) -> None:
    """Print what a model says of each photo, by how sure it is."""
    from detection.record.schemas import SURE

    levels = (SURE, model.confidence, 0.25)
    sys.stdout.write(f"\nsure from {SURE}, perhaps from {model.confidence}, possible from {levels[-1]}\n{_HEAD}")
    for name, image in photos.items():
        found = model.predict(image)
        cells, before = [], 2.0
        for level in levels:
            cells.append(_told([box for box in found if level <= box.confidence < before]))
            before = level
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


def _told(boxes: list["Detection"]) -> str:
    told = groupby(sorted(boxes, key=lambda box: (box.label, -box.confidence)), lambda box: box.label)
    return ", ".join(f"{label} {' '.join(f'{box.confidence:.2f}' for box in same)}" for label, same in told)


def say_lost(reference: "Detector", other: "Detector", photos: Photos) -> None:
    """Print the share of the reference's sure boxes that the other finds, and the rest one by one."""
    from detection.record.schemas import SURE
    from tests.support.overlap import among

    pairs = [
        (name, box, other.predict(image))
        for name, image in photos.items()
        for box in reference.predict(image)
        if box.confidence >= SURE
    ]
    for least in (_COMPARED, other.confidence):
        lost = [
            f"{box.label} {box.confidence:.2f} of {name}"
            for name, box, found in pairs
            if not among(box, [one for one in found if one.confidence >= least], _SAME)
        ]
        share = f"{len(pairs) - len(lost)} of {len(pairs)} sure boxes found at {least}"
        sys.stdout.write(f"\n{share}; lost: {', '.join(lost) or 'none'}\n")


def _files(source: Path) -> Iterator[Path]:
    yield from sorted(file for file in source.iterdir() if file.suffix in _ENDINGS) if source.is_dir() else [source]


def _bgr(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as image:
        return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    django.setup()
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
