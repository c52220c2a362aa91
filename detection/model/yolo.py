"""Run the model: `load` it once per process, then `box` photos. Its family (detector.py) knows its format."""

import ctypes
import sys
import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from botsite import language
from botsite.sqs import FairThreads
from detection.model import by_ultralytics, clips, large_files, openvino, weights
from detection.model.boxed import PLAIN, Boxed, Wanted
from detection.model.decoding import DECODER
from detection.model.detector import Detector, Family
from detection.model.enlarging import enlarged
from detection.picture import blur, pixels, render
from detection.picture.render import Scene
from detection.record import choosing
from detection.record.schemas import PERSON

log = structlog.get_logger()

# The first that runs a model loads it.
_FAMILIES: tuple[Family, ...] = (openvino, by_ultralytics)
# From glibc's malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD (bytes), and what each is set to.
_MALLOC = {-8: 2, -3: 32 << 20, -1: 64 << 20}


@dataclass(frozen=True)
class Model:
    """A loaded model. `threads` has a thread for each photo that its detector processes at once."""

    name: str
    detector: Detector
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
            boxed = self.threads.do(chat_id, partial(self._box_jpeg, jpeg, wanted))
            if boxed:
                return replace(boxed, shrunk=max(jpeg.width, jpeg.height) > render.DRAWN_SIDE)
        with large_files.DECODER.lent(1, chat_id):
            return self.decoding.do(chat_id, partial(self._box_strange, photo, chat_id, wanted))

    def _box_jpeg(self, jpeg: pixels.OrdinaryJpeg, wanted: Wanted) -> Boxed | None:
        """Return None if it is damaged."""
        image = jpeg.decode()
        return None if image is None else self._box(image, wanted)

    def _box_strange(self, photo: bytes | bytearray, chat_id: int, wanted: Wanted) -> Boxed:
        """Decode, then wait for the model, so that only one decoded image waits for it at a time."""
        image = DECODER.decode(photo)
        boxed = self.threads.do(chat_id, partial(self._box, image, wanted, copied=True))
        with language.speaking(wanted.language):
            return enlarged(photo, image, boxed) if wanted.full else boxed

    def box_clip(self, clip: bytes | bytearray, chat_id: int, wanted: Wanted = PLAIN) -> Boxed:
        """Detect and draw on the frames at the quarters of a clip, as `box` does; frames that are the same count once.

        Raise image_headers.UnreadableImage if not even the first can be read, or large_files.Crowded.
        """
        with large_files.DECODER.lent(1, chat_id):
            return self.decoding.do(chat_id, partial(self._box_clip, clip, chat_id, wanted))

    def _box_clip(self, clip: bytes | bytearray, chat_id: int, wanted: Wanted) -> Boxed:
        with closing(clips.frames(clip)) as frames:
            found = [self.threads.do(chat_id, partial(self._box, frame, wanted)) for frame in frames]
        return clips.together(found)

    def _box(self, image: NDArray[np.uint8], wanted: Wanted, *, copied: bool = False) -> Boxed:
        started = time.monotonic()
        candidates = self.detector.predict(image, wanted.floor)
        inference_ms = round((time.monotonic() - started) * 1000)
        labels = self.detector.labels
        options = choosing.resolve(wanted.options, labels.values(), wanted.language)
        options = choosing.by_default(options, self.detector.confidence)
        shown = choosing.choose(candidates, options)
        copy = pixels.encode_jpeg(image) if copied else None
        classes = {label: number for number, label in labels.items()}
        if options.blur:
            # For the small picture in the head of the large one, too.
            blur.blur(image, [box for box in candidates if box.label == PERSON])
        with language.speaking(wanted.language):
            jpeg = render.picture(Scene(image, candidates, classes), shown, options)
        jpeg = pixels.with_thumbnail(jpeg, image)
        return Boxed(shown, candidates, classes, options, jpeg, copy, inference_ms)


@cache
def load() -> Model:
    """Load the model that YOLO_WEIGHTS names, and warm it up, once per process."""
    started = time.monotonic()
    _tame_malloc()
    path = weights.ready(settings.YOLO_WEIGHTS)
    detector = next(family for family in _FAMILIES if family.runs(path)).load(path)
    load_ms, at_once = round((time.monotonic() - started) * 1000), detector.at_once
    log.info("model_loaded", model=path.name, labels=len(detector.labels), at_once=at_once, load_ms=load_ms)
    return Model(path.name, detector, FairThreads(at_once, "model"), FairThreads(1, "decoding"))


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
