"""Run the model: `load` once per process, then `box` photos. Any format that ultralytics can load will do.

An OpenVINO export, which the worker runs by default, needs only OpenVINO. For anything else, loading the model imports
ultralytics, and torch with it.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from queue import LifoQueue

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from detection import choosing, large_files, sentences
from detection.image_headers import UnreadableImage
from detection.model import decoding, openvino, weights
from detection.model.decoding import CLIPS, DECODER
from detection.model.openvino import Predict
from detection.model.threads import FairThreads
from detection.picture import blur, full_size, pixels, render
from detection.picture.render import Scene
from detection.picture.strips import TooLarge
from detection.schemas import EVERYTHING, FRAMES_AT_MOST, PERSON, Detection, Options

log = structlog.get_logger()

# From glibc's malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD (bytes), and what each is set to.
_MALLOC = {-8: 2, -3: 32 << 20, -1: 64 << 20}
# A picture that takes too many bytes at its full resolution is drawn again with half the pixels, so often at most.
_FULL_TRIES, _SMALLER = 3, 0.7


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
    no such JPEG itself. `full` is the picture at the photo's full resolution, if that is asked for; `shrunk` is whether
    `jpeg` has less than that. `frames` are the pictures of a clip's other frames.
    """

    detections: list[Detection]
    candidates: list[Detection]
    classes: dict[str, int]
    options: Options
    jpeg: bytes
    copy: bytes | None
    inference_ms: int
    full: bytes | None = None
    shrunk: bool = False
    frames: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a photo: how it is shown, whether at full resolution, too, and from which confidence on.

    `language` is that of its sender ("de"), whose names of classes are understood.
    """

    options: Options = EVERYTHING
    full: bool = False
    floor: float = openvino.CONFIDENCE
    language: str | None = None


PLAIN = Wanted()


@dataclass(frozen=True)
class Model:
    """A loaded model. `free` holds a function, and `threads` a thread, for each photo that is processed at once."""

    name: str
    labels: dict[int, str]
    free: "LifoQueue[Predict]"
    threads: FairThreads
    # The one thread that talks to the decoder of anything but ordinary JPEGs, whose process ends with it.
    decoding: FairThreads

    def box(self, photo: bytes | bytearray, chat_id: int, wanted: Wanted = PLAIN) -> Boxed:
        """Detect, and draw what is asked for, on one of the model's own threads, in turn with other chats.

        There is one for each core: slots that decode, detect and encode by turns cost a tenth more CPU. None of them
        waits for the decoding of a strange file, which comes before. Raise image_headers.UnreadableImage or
        large_files.Crowded.
        """
        jpeg = pixels.ordinary_jpeg(photo)
        if jpeg and not wanted.full:
            boxed = self.threads.do(chat_id, partial(self._box, jpeg.decode, wanted))
            if boxed:
                return replace(boxed, shrunk=max(jpeg.width, jpeg.height) > render.DRAWN_SIDE)
        with large_files.DECODER.lent(1, chat_id):
            return self.decoding.do(chat_id, partial(self._box_strange, photo, chat_id, wanted))

    def _box_strange(self, photo: bytes | bytearray, chat_id: int, wanted: Wanted) -> Boxed:
        """Decode, then wait for the model, so that only one decoded image waits for it at a time."""
        image = DECODER.decode(photo)
        boxed = self.threads.do(chat_id, partial(self._box, lambda: image, wanted, copied=True))
        assert boxed
        return self._enlarged(photo, image, boxed) if wanted.full else boxed

    def box_clip(self, clip: bytes | bytearray, chat_id: int, wanted: Wanted = PLAIN) -> Boxed:
        """Detect and draw on the frames at the quarters of a clip, as `box` does; frames that are the same count once.

        Raise image_headers.UnreadableImage if not even the first can be read, or large_files.Crowded.
        """
        with large_files.DECODER.lent(1, chat_id):
            return self.decoding.do(chat_id, partial(self._box_clip, clip, chat_id, wanted))

    def _box_clip(self, clip: bytes | bytearray, chat_id: int, wanted: Wanted) -> Boxed:
        found: list[Boxed] = []
        before: NDArray[np.uint8] | None = None
        try:
            for quarter in range(FRAMES_AT_MOST):
                frame = CLIPS.decode(clip, quarter)
                if before is not None and np.array_equal(frame, before):
                    continue
                before = frame.copy()
                boxed = self.threads.do(chat_id, partial(self._box, partial(_given, frame), wanted))
                assert boxed
                found.append(boxed)
        except UnreadableImage as error:
            if not found:
                raise _about_clip(error) from error
            log.info("clip_cut_short", frames=len(found), error=str(error))
        finally:
            # It is seldom needed, and takes 70 MB.
            CLIPS.end()
        return _together(found)

    def _enlarged(self, photo: bytes | bytearray, image: NDArray[np.uint8], boxed: Boxed) -> Boxed:
        """Draw at full resolution, as far as that can be; the copy becomes as large, so that it can be drawn again."""
        scene, side = Scene(image, boxed.candidates, boxed.classes), decoding.FULL_SIDE
        for _ in range(_FULL_TRIES):
            try:
                with DECODER.full(photo, side) as rows:
                    side = round(max(rows.size) * _SMALLER)
                    copy, picture = full_size.draw(rows, rows.size, scene, boxed.detections, boxed.options)
            except TooLarge as error:
                log.info("full_picture_too_large", reason=str(error))
            except UnreadableImage as error:
                # The smaller picture could be made of it.
                log.warning("full_picture_left_out", error=str(error))
                break
            else:
                return replace(boxed, copy=copy, full=pixels.with_thumbnail(picture, image))
        return boxed

    def _box(
        self, decode: Callable[[], NDArray[np.uint8] | None], wanted: Wanted, *, copied: bool = False
    ) -> Boxed | None:
        """Return None if `decode` does."""
        image = decode()
        if image is None:
            return None
        detected = self.detect(image, wanted.floor)
        options = choosing.resolve(wanted.options, self.labels.values(), wanted.language)
        shown = choosing.choose(detected.candidates, options)
        copy = pixels.encode_jpeg(detected.image) if copied else None
        classes = {label: number for number, label in self.labels.items()}
        if options.blur:
            # For the small picture in the head of the large one, too.
            blur.blur(detected.image, [box for box in detected.candidates if box.label == PERSON])
        jpeg = render.picture(Scene(detected.image, detected.candidates, classes), shown, options)
        jpeg = pixels.with_thumbnail(jpeg, detected.image)
        return Boxed(shown, detected.candidates, classes, options, jpeg, copy, detected.inference_ms)

    def detect(self, image: NDArray[np.uint8], floor: float = openvino.CONFIDENCE) -> Detected:
        """Return the possible objects in a (height, width, 3) BGR image, most confident first."""
        predict = self.free.get()
        try:
            started = time.monotonic()
            candidates = predict(image, floor)
            inference_ms = round((time.monotonic() - started) * 1000)
        finally:
            self.free.put(predict)
        return Detected(candidates, image, inference_ms)


def _given(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def _about_clip(error: UnreadableImage) -> UnreadableImage:
    """Return the error with a sentence about clips, unless it is about their size."""
    about_images = (sentences.NO_IMAGE, sentences.DAMAGED, sentences.TOO_MUCH)
    return UnreadableImage(sentences.NO_CLIP) if str(error) in about_images else error


def _together(frames: Sequence[Boxed]) -> Boxed:
    """Return the frames of a clip as one. What else is possible in them is left out: no button asks for it."""
    first, *others = frames
    return replace(
        first,
        detections=_most_at_once([frame.detections for frame in frames]),
        candidates=[],
        frames=[frame.jpeg for frame in others],
        inference_ms=sum(frame.inference_ms for frame in frames),
    )


def _most_at_once(frames: Sequence[Sequence[Detection]]) -> list[Detection]:
    """Return, of each class, the boxes of the frame that has most of it; no more than one photo can have.

    A dog that is in all frames is one dog.
    """
    most: dict[str, list[Detection]] = {}
    for frame in frames:
        there: dict[str, list[Detection]] = {}
        for box in frame:
            there.setdefault(box.label, []).append(box)
        most |= {label: boxes for label, boxes in there.items() if _more(boxes, most.get(label, []))}
    boxes = [box for of_class in most.values() for box in of_class]
    return sorted(boxes, key=lambda box: -box.confidence)[: openvino.BOXES_AT_MOST]


def _more(boxes: Sequence[Detection], others: Sequence[Detection]) -> bool:
    """Return whether one frame has more of a class than another, or as many that are surer."""
    one, other = ((len(each), sum(box.confidence for box in each)) for each in (boxes, others))
    return one > other


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

    def predict(image: NDArray[np.uint8], least: float = openvino.CONFIDENCE) -> list[Detection]:
        boxes = yolo.predict(image, conf=least, verbose=False)[0].boxes.cpu().numpy()
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
