"""Measure an export in each of its input sizes: CPU of a photo, memory, CPU of compiling.

    python -m tests.bench.input_sizes FOLDER

A photo's CPU is that of `predict` alone, one photo at a time: scaling, the model, its boxes.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import django
import numpy as np
from django.conf import settings

# Height and width by name. Memory grows with each new shape.
PHOTOS = {"4:3": (960, 1280), "16:9": (720, 1280), "3:4": (1280, 960), "square": (1000, 1000)}
_ROUNDS, _PHOTOS = 9, 10


def main(folder: Path) -> None:
    """Print the weights, a table of photos, and a line on compiling."""
    from detection.model import openvino

    sys.stdout.write(f"weights: {folder.name}\n")
    sizes = openvino.sizes_of(folder)
    # The first one also loads OpenVINO.
    with _empty_cache():
        openvino.compiled(folder, sizes[0])
    with _empty_cache():
        say_photos(folder)
    with _empty_cache():
        compiled, cached = ([_cpu(openvino.compiled, folder, size) for size in sizes] for _ in range(2))
        sys.stdout.write(f"compiling: {median(compiled):.2f} s of CPU a shape, from the cache {median(cached):.2f} s\n")


def say_photos(folder: Path) -> None:
    """Print what each photo costs, and how much memory the process takes once it has seen it."""
    from detection.model import openvino
    from detection.model.letterbox import choose
    from tests.bench import meter

    export = openvino.load(folder)
    sys.stdout.write("| photo | input | CPU ms | PSS MB |\n| --- | --- | ---: | ---: |\n")
    for name, shape in PHOTOS.items():
        image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
        with ThreadPoolExecutor() as threads:
            list(threads.map(export.predict, [image] * export.at_once))
        milliseconds = median(_cpu(_look, export.predict, image) for _ in range(_ROUNDS)) / _PHOTOS * 1000
        height, width = choose(shape, openvino.sizes_of(folder))
        memory = meter.pss_mb(os.getpid())
        sys.stdout.write(f"| {name} | {width} x {height} | {milliseconds:.1f} | {memory:.0f} |\n")


def _look(predict: Callable[[np.ndarray], object], image: np.ndarray) -> None:
    for _ in range(_PHOTOS):
        predict(image)


def _cpu(work: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of CPU that a call takes, on all threads."""
    started = time.process_time()
    work(*arguments)
    return time.process_time() - started


@contextmanager
def _empty_cache() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as cache:
        settings.CACHE_DIR = Path(cache)
        yield


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    django.setup()
    main(Path(sys.argv[1]))
