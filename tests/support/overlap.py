"""How far two boxes are the same."""

from detection.record.schemas import Detection


def iou(one: Detection, other: Detection) -> float:
    """Return the intersection over union of two boxes."""
    a, b = _corners(one), _corners(other)
    inner = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inner / (sum(areas) - inner)


def among(box: Detection, others: list[Detection], least: float) -> bool:
    """Return whether one of the others has the label of a box, and overlaps it by so much."""
    return any(other.label == box.label and iou(box, other) >= least for other in others)


def _corners(box: Detection) -> tuple[float, float, float, float]:
    left, top = box.cx - box.width / 2, box.cy - box.height / 2
    return left, top, left + box.width, top + box.height
