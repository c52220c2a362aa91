"""Run any format that ultralytics loads, with ultralytics and torch: one photo at a time on all cores."""

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detection.model import weights
from detection.model.detector import FLOOR
from detection.record.schemas import LEAST, Detection


class Loaded:
    """A model that ultralytics loaded."""

    confidence = LEAST
    at_once = 1

    def __init__(self, path: Path) -> None:
        self._yolo = weights.ultralytics().YOLO(str(path), task="detect")
        self._lock = threading.Lock()
        self.labels = {int(number): str(label) for number, label in self._yolo.names.items()}

    def predict(self, image: NDArray[np.uint8], least: float = FLOOR) -> list[Detection]:
        """Return what is in a (height, width, 3) BGR image."""
        with self._lock:
            boxes = self._yolo.predict(image, conf=least, verbose=False)[0].boxes.cpu().numpy()
        return [
            Detection(self.labels[int(label)], float(confidence), *(float(value) for value in box))
            for box, confidence, label in zip(boxes.xywhn, boxes.conf, boxes.cls, strict=True)
        ]


def runs(path: Path) -> bool:
    """Return True: ultralytics may know whatever the other families don't."""
    return True


def load(path: Path) -> Loaded:
    """Load the model. The first prediction compiles, which takes seconds."""
    loaded = Loaded(path)
    loaded.predict(np.zeros((480, 640, 3), np.uint8))
    return loaded
