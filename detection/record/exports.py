"""Export the objects of a photo as data for other programs (docs/data.md). VERSION counts changes of our own format."""

import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from detection.record import times
from detection.record.schemas import Detection, Prediction

VERSION = 1


def archive(prediction: Prediction, shown: Sequence[Detection], size: tuple[int, int]) -> bytes:
    """Return a ZIP with our own JSON, COCO's, and YOLO's texts. `size` is the photo's width and height in pixels."""
    labels = sorted({box.label for box in shown})
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as files:
        files.writestr("detections.json", as_json(prediction, shown))
        files.writestr("coco/annotations/instances_default.json", as_coco(shown, labels, size))
        files.writestr("yolo/classes.txt", "".join(f"{label}\n" for label in labels))
        files.writestr("yolo/labels/photo.txt", as_yolo(shown, labels))
    return buffer.getvalue()


def as_coco(shown: Sequence[Detection], labels: Sequence[str], size: tuple[int, int]) -> bytes:
    """Return COCO's JSON of one image, photo.jpg: boxes as left, top, width and height in pixels; classes from 1."""
    width, height = size
    annotations = []
    for number, box in enumerate(shown, 1):
        left, top = (box.cx - box.width / 2) * width, (box.cy - box.height / 2) * height
        across, down = box.width * width, box.height * height
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": labels.index(box.label) + 1,
                "bbox": [round(value, 2) for value in (left, top, across, down)],
                "area": round(across * down, 2),
                "iscrowd": 0,
                "segmentation": [],
                "score": round(box.confidence, 4),
            }
        )
    document = {
        "info": {"description": "object-detection", "version": str(VERSION)},
        "licenses": [],
        "images": [{"id": 1, "file_name": "photo.jpg", "width": width, "height": height}],
        "categories": [{"id": number, "name": label, "supercategory": ""} for number, label in enumerate(labels, 1)],
        "annotations": annotations,
    }
    return (json.dumps(document, ensure_ascii=False) + "\n").encode()


def as_yolo(shown: Sequence[Detection], labels: Sequence[str]) -> str:
    """Return a line for each box: the number of its class from 0, then cx, cy, width and height as fractions."""
    return "".join(
        f"{labels.index(box.label)} {box.cx:.6f} {box.cy:.6f} {box.width:.6f} {box.height:.6f}\n" for box in shown
    )


def as_json(prediction: Prediction, shown: Sequence[Detection]) -> bytes:
    """Return what is shown of a photo: labels, confidences, and boxes as fractions of the image (YOLO xywhn)."""
    document = {
        "format": "object-detection",
        "version": VERSION,
        "model": prediction.model,
        "finished_at": times.text(prediction.finished_at) if prediction.finished_at else None,
        "detections": [_box(box) for box in shown],
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _box(box: Detection) -> dict[str, Any]:
    places = {name: round(getattr(box, name), 6) for name in ("confidence", "cx", "cy", "width", "height")}
    return {"label": box.label, **places}
