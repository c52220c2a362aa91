"""Run the model: `load` once per process, then `box` photos. Any format that ultralytics can load will do.

An OpenVINO export, which the worker runs by default, needs only OpenVINO. For anything else, loading the model imports
ultralytics, and torch with it.
"""

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from queue import LifoQueue

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from detection import choosing, large_files
from detection.model import openvino, weights
from detection.model.decoding import DECODER
from detection.model.openvino import Predict
from detection.model.threads import FairThreads
from detection.picture import pixels, render
from detection.picture.render import Scene
from detection.schemas import EVERYTHING, Detection, Options

log = structlog.get_logger()

# From glibc's malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD (bytes), and what each is set to.
_MALLOC = {-8: 2, -3: 32 << 20, -1: 64 << 20}


@dataclass(frozen=True, slots=True)
class Detected:
    """What the model thinks possible in one photo, and the decoded photo: (height, width, 3) BGR."""

    candidates: list[Detection]
    image: NDArray[np.uint8]
    inference_ms: int


@dataclass(frozen=True, slots=True)
class Boxed:
    """What is shown of one photo, what else is possible, what was made of the options, and the picture as JPEG.

    `classes` are the numbers of the model's classes by label; `copy` is the photo as a JPEG that sites decode, if it is
    no such JPEG itself.
    """

    detections: list[Detection]
    candidates: list[Detection]
    classes: dict[str, int]
    options: Options
    jpeg: bytes
    copy: bytes | None
    inference_ms: int


@dataclass(frozen=True)
class Model:
    """A loaded model. `free` holds a function, and `threads` a thread, for each photo that is processed at once."""

    name: str
    labels: dict[int, str]
    free: "LifoQueue[Predict]"
    threads: FairThreads
    # The one thread that waits for the decoder of anything but ordinary JPEGs.
    decoding: FairThreads

    def box(self, photo: bytes | bytearray, chat_id: int, options: Options = EVERYTHING) -> Boxed:
        """Detect, and draw what is asked for, on one of the model's own threads, in turn with other chats.

        There is one for each core: slots that decode, detect and encode by turns cost a tenth more CPU. None of them
        waits for the decoding of a strange file, which comes before. Raise image_headers.UnreadableImage or
        large_files.Crowded.
        """
        jpeg = pixels.ordinary_jpeg(photo)
        boxed = self.threads.do(chat_id, partial(self._box, jpeg.decode, options)) if jpeg else None
        if boxed:
            return boxed
        large_files.check_decoder(self.decoding.waiting, self.decoding.of_chat(chat_id))
        return self.decoding.do(chat_id, partial(self._box_strange, photo, chat_id, options))

    def _box_strange(self, photo: bytes | bytearray, chat_id: int, options: Options) -> Boxed:
        """Decode, then wait for the model, so that only one decoded image waits for it at a time."""
        image = DECODER.decode(photo)
        boxed = self.threads.do(chat_id, partial(self._box, lambda: image, options, copied=True))
        assert boxed
        return boxed

    def _box(
        self, decode: Callable[[], NDArray[np.uint8] | None], options: Options, *, copied: bool = False
    ) -> Boxed | None:
        """Return None if `decode` does."""
        image = decode()
        if image is None:
            return None
        detected = self.detect(image)
        options = choosing.resolve(options, self.labels.values())
        shown = choosing.choose(detected.candidates, options)
        copy = pixels.encode_jpeg(detected.image) if copied else None
        classes = {label: number for number, label in self.labels.items()}
        jpeg = render.picture(Scene(detected.image, detected.candidates, classes), shown, options)
        jpeg = pixels.with_thumbnail(jpeg, detected.image)
        return Boxed(shown, detected.candidates, classes, options, jpeg, copy, detected.inference_ms)

    def detect(self, image: NDArray[np.uint8]) -> Detected:
        """Return the possible objects in a (height, width, 3) BGR image, most confident first."""
        predict = self.free.get()
        try:
            started = time.monotonic()
            candidates = predict(image)
            inference_ms = round((time.monotonic() - started) * 1000)
        finally:
            self.free.put(predict)
        return Detected(candidates, image, inference_ms)


@cache
def load() -> Model:
    """Load the model that YOLO_WEIGHTS names, and warm it up, once per process."""
    started = time.monotonic()
    _tame_malloc()
    path = weights.ready(settings.YOLO_WEIGHTS)
    plain = path.is_dir() and openvino.is_plain_detector(path)
    labels, predictors = openvino.load(path) if plain else _by_ultralytics(path)
    free: LifoQueue[Predict] = LifoQueue()
    for predict in predictors:
        free.put(predict)
    load_ms = round((time.monotonic() - started) * 1000)
    log.info("model_loaded", model=path.name, labels=len(labels), at_once=len(predictors), load_ms=load_ms)
    return Model(path.name, labels, free, FairThreads(len(predictors), "model"), FairThreads(1, "decoding"))


def _by_ultralytics(path: Path) -> tuple[dict[int, str], list[Predict]]:
    """Load any format with ultralytics, whose models process one photo at a time."""
    yolo = weights.ultralytics().YOLO(str(path), task="detect")

    def predict(image: NDArray[np.uint8]) -> list[Detection]:
        boxes = yolo.predict(image, conf=openvino.CONFIDENCE, verbose=False)[0].boxes.cpu().numpy()
        return [
            Detection(yolo.names[int(label)], float(confidence), *(float(value) for value in box))
            for box, confidence, label in zip(boxes.xywhn, boxes.conf, boxes.cls, strict=True)
        ]

    # The first prediction compiles, which takes seconds.
    predict(np.zeros((480, 640, 3), np.uint8))
    return {int(number): str(label) for number, label in yolo.names.items()}, [predict]


def _tame_malloc() -> None:
    """Have glibc keep a photo's memory for the next photo, in two arenas that all threads share.

    An arena for each of a dozen threads costs 60-100 MB. Without thresholds, each decoded photo is mapped, zeroed page
    by page and unmapped again. Environment variables would do the same, but have to be set before the process starts;
    the plain command sets none.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            for parameter, value in _MALLOC.items():
                mallopt(parameter, value)
