"""Write what was found as data for other programs: `docs/data.md`. VERSION counts changes of our own format."""

import json
from typing import Any

from detection import times
from detection.schemas import Detection, Prediction

VERSION = 1


def as_json(prediction: Prediction) -> bytes:
    """Return what is shown of a photo: labels, confidences, and boxes as fractions of the image (YOLO xywhn)."""
    document = {
        "format": "object-detection",
        "version": VERSION,
        "model": prediction.model,
        "finished_at": times.text(prediction.finished_at) if prediction.finished_at else None,
        "detections": [_box(box) for box in prediction.detections],
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _box(box: Detection) -> dict[str, Any]:
    places = {name: round(getattr(box, name), 6) for name in ("confidence", "cx", "cy", "width", "height")}
    return {"label": box.label, **places}
