"""Convert predictions to DynamoDB items and back: DynamoDB keeps times as texts, and fractions as Decimals."""

import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args, get_type_hints

from detection.record import reasons, times
from detection.record.reasons import Reason
from detection.record.schemas import (
    EVERYTHING,
    Act,
    Delivery,
    Detection,
    Form,
    Options,
    Prediction,
    Question,
    Status,
    Unknown,
)
from detection.record.sentences import Code

# All photos share it, so one index holds them all by time.
KIND, PHOTO = "kind", "photo"
_PACKED = struct.Struct(">BB4H")
# What is stored only if it is so.
_FLAGS = ("as_file", "captioned", "clip", "shrunk", "spoiler")
_FRACTIONS = ("confidence", "cx", "cy", "width", "height")


@dataclass(frozen=True, slots=True)
class Row:
    """What a list shows of an item, as it is stored; what the item lacks is empty."""

    prediction_id: str
    created_at: str
    status: str
    delivery: str
    chat_id: str
    attempts: str
    delivered_at: str
    model: str
    inference_ms: str
    error: str


class Incomplete(ValueError):
    """The item lacks something or cannot be read, so this service did not write it; the text says what is wrong."""


def write(prediction: Prediction) -> dict[str, Any]:
    """Return the item of a prediction, without what is not known yet."""
    item = plain({key: value for key, value in asdict(prediction).items() if value is not None})
    del item["candidates"], item["classes"], item["options"]
    for flag in _FLAGS:
        if not item[flag]:
            del item[flag]
    if prediction.options != EVERYTHING:
        item["options"] = options(prediction.options)
    if prediction.reason:
        item |= {"error": prediction.error, "reason": reason(prediction.reason, prediction.finished_at)}
    acts = [plain(asdict(act)) for act in prediction.acts]
    return item | {KIND: PHOTO, "acts": acts, "detections": [detection(box) for box in prediction.detections]}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with times as text: DynamoDB has none."""
    return {name: times.text(value) if isinstance(value, datetime) else value for name, value in values.items()}


def exact(number: float) -> Decimal:
    """Return a number to the millisecond, if it is a time, as items hold it."""
    return Decimal(f"{number:.3f}")


def reason(why: Reason, finished_at: datetime | None) -> dict[str, Any]:
    """Return a reason as a map; with the time, which tells whether it belongs to the item's `error`."""
    return {"code": why.code.name, "values": dict(why.values), "at": times.text(finished_at) if finished_at else None}


def read_reason(item: Mapping[str, Any]) -> Reason | None:
    """Return why a photo failed, if it did.

    The release before this one stores its sentence alone, and leaves the reason of an earlier failure as it was.
    """
    if not (error := item.get("error")):
        return None
    with suppress(KeyError, TypeError):
        if (stored := item["reason"])["at"] == item.get("finished_at"):
            # A later release may have more codes.
            return Reason(Code[stored["code"]], stored["values"])
    return reasons.of(str(error))


def refused(item: Mapping[str, Any]) -> bool:
    """Return whether a failed photo was refused, rather than failed by the service."""
    why = read_reason(item)
    return why is not None and why.refused


def detection(box: Detection) -> dict[str, Any]:
    """Return one box as a map. Six digits place it to a thousandth of a pixel."""
    return {"label": box.label} | {name: Decimal(str(round(getattr(box, name), 6))) for name in _FRACTIONS}


def options(asked: Options) -> dict[str, Any]:
    """Return what a sender asks for as a map."""
    rare: dict[str, Any] = {} if asked.least is None else {"least": Decimal(str(asked.least))}
    if asked.question:
        rare["question"] = asked.question
    unknown = [asdict(each) for each in asked.unknown]
    return {
        "only": list(asked.only),
        "labels": asked.labels,
        "blur": asked.blur,
        "form": asked.form,
        "unknown": unknown,
        "where": asked.where,
    } | rare


def candidates(boxes: Sequence[Detection], classes: Mapping[str, int]) -> dict[str, Any]:
    """Return boxes in 10 bytes each, because every later change of the item is paid by its size.

    `labels` are their labels in order, `classes` the numbers of these in the model. `boxes` holds, for each box, which
    label it has, its confidence in 255ths, and cx, cy, width and height in 65535ths, big-endian.
    """
    labels = sorted({box.label for box in boxes})
    packed = b"".join(
        _PACKED.pack(
            labels.index(box.label),
            round(box.confidence * 255),
            *(_share(getattr(box, name)) for name in _FRACTIONS[1:]),
        )
        for box in boxes
    )
    return {"labels": labels, "classes": [classes.get(label, 0) for label in labels], "boxes": packed}


def _share(fraction: float) -> int:
    return round(min(max(fraction, 0.0), 1.0) * 65535)


def _candidates(stored: dict[str, Any]) -> tuple[Detection, ...]:
    labels, packed = stored.get("labels", []), bytes(stored.get("boxes", b""))
    return tuple(
        Detection(labels[label], confidence / 255, *(place / 65535 for place in places))
        for label, confidence, *places in _PACKED.iter_unpack(packed)
    )


def _classes(stored: dict[str, Any]) -> dict[str, int]:
    return {
        label: int(number) for label, number in zip(stored.get("labels", []), stored.get("classes", []), strict=True)
    }


def read_options(stored: Mapping[str, Any]) -> Options:
    """Return what a sender asks for from its map."""
    least = stored.get("least")
    return Options(
        only=tuple(stored.get("only", ())),
        least=None if least is None else float(least),
        labels=bool(stored.get("labels", True)),
        blur=bool(stored.get("blur", False)),
        form=Form(stored.get("form", "")),
        unknown=tuple(Unknown(each["word"], each["nearest"]) for each in stored.get("unknown", ())),
        where=bool(stored.get("where", False)),
        question=Question(stored.get("question", "")),
    )


def read(item: dict[str, Any]) -> Prediction:
    """Return the prediction of an item. Raise Incomplete if that cannot be done."""
    try:
        return _read(item)
    except KeyError as error:
        raise Incomplete(f"the item {item.get('prediction_id')} lacks {error}") from error
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise Incomplete(f"the item {item.get('prediction_id')} cannot be read: {error}") from error


def row(item: dict[str, Any]) -> Row:
    """Return an item's row in a list, however incomplete the item is."""
    return Row(**{each.name: str(item.get(each.name, "")) for each in fields(Row)})


def _read(item: dict[str, Any]) -> Prediction:
    known = {name: read(item[name]) for name, read in _READERS.items() if name in item or name in _NEEDED}
    boxes = item.get("candidates", {})
    return Prediction(
        **known | {"created_at": times.read(item["created_at"])},
        reason=read_reason(item),
        detections=tuple(
            Detection(box["label"], *(float(box[name]) for name in _FRACTIONS)) for box in item.get("detections", [])
        ),
        candidates=_candidates(boxes),
        classes=_classes(boxes),
        options=read_options(item.get("options", {})),
        acts=tuple(Act(times.read(act["at"]), act["operation"], act["operator"]) for act in item.get("acts", [])),
    )


def _same(stored: str) -> str:
    return stored


def _time(stored: str) -> datetime | None:
    return times.read(stored) if stored else None


def _readers() -> dict[str, Callable[[Any], Any]]:
    """Return what reads each attribute that has one value, by the type of its field; numbers come as Decimals."""
    by_type: dict[Any, Callable[[Any], Any]] = {str: _same, int: int, bool: bool, datetime: _time}
    by_type |= {Status: Status, Delivery: Delivery}
    types = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(Prediction).items() if name != "classes"}
    return {name: by_type[either[0]] for name, either in types.items() if either[0] in by_type}


_READERS = _readers()
# An item without these was not written by this service.
_NEEDED = ("prediction_id", "chat_id", "message_id", "image_key", "status", "delivery", "attempts", "created_at")
