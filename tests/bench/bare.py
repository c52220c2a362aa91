"""The model and nothing else: decode and predict, in one loop. Prints a line of JSON that says how fast.

YOLO_WEIGHTS=... python -m tests.bench.bare FOLDER PHOTOS
"""

import json
import os
import signal
import sys
import time
from itertools import cycle, islice
from pathlib import Path

WARM_UP = 3


def main(folder: Path, photos: int) -> None:
    """Look at `photos` photos, the files of `folder` over and over."""
    import cv2
    import numpy as np
    from ultralytics import YOLO

    model = YOLO(os.environ["YOLO_WEIGHTS"], task="detect")
    files = [np.frombuffer(file.read_bytes(), np.uint8) for file in sorted(folder.iterdir())]

    def look(count: int) -> None:
        for data in islice(cycle(files), count):
            model.predict(cv2.imdecode(data, cv2.IMREAD_COLOR), verbose=False)

    look(1)
    first = time.monotonic()
    look(WARM_UP)
    started, cpu = time.monotonic(), time.process_time()
    look(photos)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    result = {"first_at": first, "jobs_per_s": photos / seconds, "cpu_ms": cpu_seconds / photos * 1000}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    signal.pause()  # Stay, so that memory can be measured.


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
