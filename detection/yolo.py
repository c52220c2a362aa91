"""Run the model: `load` once per process, then `detect` and `draw`. Any format that ultralytics can load will do.

ultralytics, and torch with it, is imported inside functions: web, beat and commands load this module too.
"""

import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from . import pixels, weights
from .schemas import Detection

log = structlog.get_logger()

# Telegram scales photos to this many pixels on the longer side; drawing a larger one only costs.
DRAWN_SIDE = 1280


@dataclass(frozen=True, slots=True)
class Detected:
    """What the model sees on one photo, and the photo decoded: (height, width, 3) BGR."""

    detections: list[Detection]
    image: NDArray[np.uint8]
    inference_ms: int


@dataclass(frozen=True)
class Model:
    """A loaded model. ultralytics' models are not thread-safe, so one photo is looked at at a time."""

    name: str
    labels: dict[int, str]
    yolo: Any
    lock: threading.Lock

    def detect(self, photo: bytes) -> Detected:
        """Return the objects on a photo, the surest first. Raise pixels.UnreadableImage.

        The photo is decoded when the model is free, so that waiting photos wait as compressed bytes.
        """
        with self.lock:
            image = pixels.decode(photo)
            started = time.monotonic()
            result = self.yolo.predict(image, verbose=False)[0]
            inference_ms = round((time.monotonic() - started) * 1000)
        boxes = result.boxes.cpu().numpy()
        detections = [
            Detection(self.labels[int(label)], float(confidence), *(float(value) for value in box))
            for box, confidence, label in zip(boxes.xywhn, boxes.conf, boxes.cls, strict=True)
        ]
        return Detected(sorted(detections, key=lambda box: -box.confidence), image, inference_ms)


@cache
def load() -> Model:
    """Load the model that YOLO_WEIGHTS names, warm, once per process."""
    started = time.monotonic()
    path = weights.ready(settings.YOLO_WEIGHTS)
    yolo = weights.ultralytics().YOLO(str(path), task="detect")
    # The first prediction compiles the model and takes seconds.
    yolo.predict(np.zeros((480, 640, 3), np.uint8), verbose=False)
    model = Model(path.name, dict(yolo.names), yolo, threading.Lock())
    load_ms = round((time.monotonic() - started) * 1000)
    log.info("model_loaded", model=model.name, labels=len(model.labels), load_ms=load_ms)
    return model


def draw(detected: Detected) -> bytes:
    """Return the photo with its boxes and labels as JPEG, no larger than DRAWN_SIDE."""
    import cv2
    from ultralytics.utils.plotting import Annotator, colors

    image: Any = detected.image
    shrink = min(1.0, DRAWN_SIDE / max(image.shape[:2]))
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    height, width = image.shape[:2]
    # Drawn by OpenCV: Pillow's way would fetch a font.
    annotator = Annotator(image, pil=False)
    palette = {label: index for index, label in enumerate(sorted({box.label for box in detected.detections}))}
    for box in reversed(detected.detections):
        corners = (
            (box.cx - box.width / 2) * width,
            (box.cy - box.height / 2) * height,
            (box.cx + box.width / 2) * width,
            (box.cy + box.height / 2) * height,
        )
        annotator.box_label(corners, f"{box.label} {box.confidence:.0%}", color=colors(palette[box.label], bgr=True))
    return pixels.encode_jpeg(annotator.result())
