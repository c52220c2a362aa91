"""Decode ordinary and hostile files as a worker does, and print what each costs: CPU, and memory with the child's.

YOLO_WEIGHTS=... python -m tests.bench.decoding
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import psutil
from PIL import Image

from tests.bench import meter

_LOOK_SECONDS = 0.005
_ORDINARY_TIMES = 30
_WORKER = "worker"


def main() -> None:
    """Make the files, then hand one after the other to a worker, watching its memory."""
    with tempfile.TemporaryDirectory() as name, _worker() as worker:
        assert worker.stdin
        assert worker.stdout
        name = worker.stdout.readline().strip()
        _say(f"worker with {name}, idle: {meter.pss_mb(worker.pid):.0f} MB PSS")
        _say(f"{'file':45} {'decode, CPU ms':>15} {'peak PSS, MB':>13}  outcome")
        for file, times in _files(Path(name)):
            worker.stdin.write(json.dumps([str(file), times]) + "\n")
            worker.stdin.flush()
            peak, line = _peak_until_line(worker)
            cpu_ms, outcome = json.loads(line)
            _say(f"{file.name:45} {cpu_ms:15.1f} {peak:13.0f}  {outcome}")
        worker.stdin.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _worker() -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.bench.decoding", _WORKER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _peak_until_line(worker: "subprocess.Popen[str]") -> tuple[float, str]:
    """Return the largest memory of the worker and its child, MB, while it works, and what it prints."""
    assert worker.stdout
    os.set_blocking(worker.stdout.fileno(), False)
    peak, line = 0.0, ""
    while not line.endswith("\n"):
        try:
            peak = max(peak, meter.pss_mb(worker.pid))
        except psutil.NoSuchProcess:
            continue  # A decoder that has just been replaced.
        line += worker.stdout.readline()
        time.sleep(_LOOK_SECONDS)
    return peak, line


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield files and how often each is to be decoded."""
    from deploy.local import sample
    from tests.support import hostile

    photo = sample.bus()
    bus = Image.open(BytesIO(photo))
    for name, size in (("810x1080.jpg", bus.size), ("1280x720.jpg", (1280, 720)), ("12_megapixels.jpg", (4000, 3000))):
        file = folder / name
        bus.resize(size).save(file, quality=90)
        yield file, _ORDINARY_TIMES
    for name in ("640x480.png", "640x480.webp"):
        file = folder / name
        bus.resize((640, 480)).save(file)
        yield file, _ORDINARY_TIMES
    for file_hostile in hostile.zoo(photo):
        if any(word in file_hostile.name for word in ("megapixels", "megabytes", "one_colour", "scans", "inflating")):
            file = folder / file_hostile.filename
            file.write_bytes(file_hostile.make())
            yield file, 1


def _work() -> None:
    """Decode what stdin names, as often as it says, and answer it once; print CPU milliseconds and what came of it."""
    import django

    django.setup()
    import detection.work.tasks  # noqa: F401 - what a worker imports.
    from detection.model import yolo
    from detection.model.decoding import DECODER
    from detection.picture import pixels
    from detection.picture.image_headers import UnreadableImage

    def cpu() -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        child = psutil.Process(DECODER.pid).cpu_times() if DECODER.pid else None
        return time.process_time() + ended.ru_utime + ended.ru_stime + (child.user + child.system if child else 0)

    def decode(data: bytes) -> None:
        jpeg = pixels.ordinary_jpeg(data)
        if not jpeg or jpeg.decode() is None:
            DECODER.decode(data)

    model = yolo.load()
    _say(model.name)
    for line in sys.stdin:
        name, times = json.loads(line)
        data = Path(name).read_bytes()
        started = cpu()
        try:
            for _ in range(times):
                decode(data)
            spent = cpu() - started
            outcome = f"{len(model.box(data, 1).detections)} objects"
        except UnreadableImage as error:
            spent, outcome = cpu() - started, str(error)
        _say(json.dumps([spent / times * 1000, outcome]))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    _work() if sys.argv[1:] == [_WORKER] else main()
