"""Measure the CPU time of a photo by the model's precision: decode, detect, draw and encode, on one thread.

    taskset -c 0 python -m tests.bench.precision NAME_openvino_model ...

Left alone, OpenVINO computes an fp16 model in bf16 where the processor can, else in f32: T3 machines cannot. What int8
takes on one without VNNI: `ONEDNN_MAX_CPU_ISA=AVX512_CORE taskset ...`.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import django
from django.conf import settings

_ROUNDS, _PHOTOS = 5, 20
_PRECISIONS = ("as it comes", "f32")


def main(folders: list[Path]) -> None:
    """Print a line for each model and precision."""
    from detection.model import compiling

    options = compiling._OPTIONS
    for folder in folders:
        for precision in _PRECISIONS:
            hint = {} if precision == _PRECISIONS[0] else {"INFERENCE_PRECISION_HINT": precision}
            compiling._OPTIONS = options | hint
            # What another processor's instructions have compiled is of no use here.
            with tempfile.TemporaryDirectory() as empty:
                settings.CACHE_DIR = Path(empty)
                sys.stdout.write(f"{folder.name:40} {precision:12} {_cpu_ms(folder):6.1f} ms of CPU a photo\n")


def _cpu_ms(folder: Path) -> float:
    from deploy.local import sample
    from detection.model import openvino
    from detection.picture import pixels, render
    from detection.record.choosing import choose
    from detection.record.schemas import EVERYTHING

    export = openvino.load(folder)
    photo = sample.bus()

    def box() -> None:
        jpeg = pixels.ordinary_jpeg(photo)
        image = jpeg.decode() if jpeg else None
        assert image is not None
        candidates = export.predict(image)
        scene = render.Scene(image, candidates, {label: number for number, label in export.labels.items()})
        render.picture(scene, choose(candidates, EVERYTHING))

    box()
    return median(_seconds(box) for _ in range(_ROUNDS)) / _PHOTOS * 1000


def _seconds(box: Callable[[], None]) -> float:
    started = time.process_time()
    for _ in range(_PHOTOS):
        box()
    return time.process_time() - started


if __name__ == "__main__":
    django.setup()
    main([Path(name) for name in sys.argv[1:]])
