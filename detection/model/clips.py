"""Take a clip apart into a few frames, and put what was found in them together."""

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from detection.model.boxed import Boxed
from detection.model.decoding import CLIPS
from detection.model.detector import BOXES_AT_MOST
from detection.picture.image_headers import UnreadableImage
from detection.record.schemas import FRAMES_AT_MOST, Detection
from detection.record.sentences import Code

log = structlog.get_logger()

# The child has as much CPU time for all frames, but one of a large video ends after each, as it took much memory.
_SECONDS = 6.0


def frames(clip: bytes | bytearray) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the frames at the quarters of a clip, without repeating identical ones.

    Close it. Raise UnreadableImage if not even the first can be read.
    """
    before: NDArray[np.uint8] | None = None
    spent = 0.0
    try:
        for quarter in range(FRAMES_AT_MOST):
            if spent > _SECONDS:
                log.info("clip_cut_short", frames=quarter, error="its frames take too long")
                return
            started = time.monotonic()
            frame = CLIPS.decode(clip, quarter)
            spent += time.monotonic() - started
            if before is None or not np.array_equal(frame, before):
                # It is drawn on.
                before = frame.copy()
                yield frame
    except UnreadableImage as error:
        if before is None:
            raise _about_clip(error) from error
        log.info("clip_cut_short", frames=quarter, error=str(error))
    finally:
        # It is seldom needed, and takes 70 MB.
        CLIPS.end()


def together(frames: Sequence[Boxed]) -> Boxed:
    """Return the frames of a clip as one. What else is possible in them is left out: no button asks for it."""
    first, *others = frames
    return replace(
        first,
        detections=most_at_once([frame.detections for frame in frames]),
        candidates=[],
        frames=[frame.jpeg for frame in others],
        inference_ms=sum(frame.inference_ms for frame in frames),
    )


def most_at_once(frames: Sequence[Sequence[Detection]]) -> list[Detection]:
    """Return for each class the boxes of the frame with most of them; in all, no more than a photo can have.

    A dog that is in all frames is one dog.
    """
    most: dict[str, list[Detection]] = {}
    for frame in frames:
        there: dict[str, list[Detection]] = {}
        for box in frame:
            there.setdefault(box.label, []).append(box)
        most |= {label: boxes for label, boxes in there.items() if _more(boxes, most.get(label, []))}
    boxes = [box for of_class in most.values() for box in of_class]
    return sorted(boxes, key=lambda box: -box.confidence)[:BOXES_AT_MOST]


def _more(boxes: Sequence[Detection], others: Sequence[Detection]) -> bool:
    """Return whether one frame has more of a class than another, or as many that are surer."""
    one, other = ((len(each), sum(box.confidence for box in each)) for each in (boxes, others))
    return one > other


def _about_clip(error: UnreadableImage) -> UnreadableImage:
    """Return the error with a sentence about clips, unless it is about their size."""
    return error if error.reason.code is Code.TOO_MANY_PIXELS else UnreadableImage(Code.NO_CLIP)
