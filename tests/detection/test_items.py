"""Every field of a prediction survives its item, and an item that lacks what each has is told from ours."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from detection.record import items
from detection.record.reasons import Reason
from detection.record.schemas import Act, Delivery, Detection, Options, Prediction, Status
from detection.record.sentences import Code

AT = datetime(2026, 12, 2, 10, 30, 0, 123_000, UTC)
EMPTY = Prediction("p1", 5, 6, "photos/p1", created_at=AT)
BUS = Detection("bus", 0.875, 0.5, 0.25, 0.125, 0.0625)
# `candidates` and `classes` are written by themselves, packed.
FULL: dict[str, Any] = {
    "status": Status.FAILED,
    "delivery": Delivery.DELIVERED,
    "reason": Reason(Code.TOO_LARGE, {"megabytes": "25"}),
    "detections": (BUS,),
    "options": Options(only=("bus",)),
    "acts": (Act(AT, "retry", "ada"),),
} | {
    name: value
    for value, names in (
        (
            AT,
            "received_at enqueued_at started_at finished_at delivered_at resent_at reopened_at delivery_until"
            " edited_at",
        ),
        (
            "text",
            "language guest_query_id inline_message_id picture_file_id album_id job_id holder failure delivery_lease"
            " model written",
        ),
        (
            7,
            "sender_id author_id thread_id picture_message_id frames floor_percent photo_bytes inference_ms cpu_ms cpus"
            " status_message_id answer_message_id attempts tries delivery_failures",
        ),
        (True, "captioned as_file clip shrunk spoiler"),
    )
    for name in names.split()
}


def stored(prediction: Prediction) -> dict[str, Any]:
    """Return its item as DynamoDB gives it back: numbers as Decimals."""
    item = items.write(prediction)
    return {name: Decimal(value) if type(value) is int else value for name, value in item.items()}


def test_every_field_survives_its_item() -> None:
    full = replace(EMPTY, **FULL)
    assert items.read(stored(full)) == full
    same = {each.name for each in fields(Prediction) if getattr(full, each.name) == getattr(EMPTY, each.name)}
    assert same == {"prediction_id", "chat_id", "message_id", "image_key", "created_at", "candidates", "classes"}


def test_fields_without_value_are_read_as_such() -> None:
    assert items.read(stored(EMPTY)) == EMPTY


def test_numbers_are_whole_ones_again() -> None:
    read = items.read(stored(replace(EMPTY, **FULL)))
    assert {type(read.chat_id), type(read.sender_id), type(read.attempts)} == {int}


@pytest.mark.parametrize("name", items._NEEDED)
def test_item_without_what_all_have_is_incomplete(name: str) -> None:
    item = stored(EMPTY)
    del item[name]
    with pytest.raises(items.Incomplete, match=f"lacks '{name}'"):
        items.read(item)


@pytest.mark.parametrize("damage", [{"attempts": "many"}, {"status": "lost"}, {"created_at": ""}, {"tries": None}])
def test_unreadable_item_is_incomplete(damage: dict[str, Any]) -> None:
    with pytest.raises(items.Incomplete, match="cannot be read"):
        items.read(stored(EMPTY) | damage)
