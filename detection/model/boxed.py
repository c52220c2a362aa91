"""Describe what is wanted of a photo, and what the model made of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from detection.model.detector import FLOOR
from detection.record.schemas import EVERYTHING, Detection, Options


@dataclass(frozen=True, slots=True)
class Boxed:
    """One photo's result: the objects shown, all candidates, the options as understood, and the picture as JPEG.

    `classes` are the numbers of the model's classes by label; `copy` is the photo as a JPEG that sites decode, if it is
    no such JPEG itself. `full` is the picture at the photo's full resolution, if that is asked for; `shrunk` is whether
    `jpeg` has less than that. `frames` are the pictures of a clip's other frames, and
    `written` is what is written in it, if that was read.
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
    written: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to show a photo, whether at full resolution too, and the least confidence of its candidates.

    `language` is that of its sender ("de"), whose names of classes are understood.
    """

    options: Options = EVERYTHING
    full: bool = False
    floor: float = FLOOR
    language: str | None = None


PLAIN = Wanted()
