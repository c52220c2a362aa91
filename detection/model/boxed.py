"""What goes into the work on a photo, and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from detection.model.detector import FLOOR
from detection.record.schemas import EVERYTHING, Detection, Options


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
    floor: float = FLOOR
    language: str | None = None


PLAIN = Wanted()
