"""Find predictions by the table's indexes, which are a moment behind."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings

from botsite import aws
from detection.record import choosing, items, predictions, times
from detection.record.schemas import Delivery, Prediction, Status

log = structlog.get_logger()

_ASKED_AT_MOST = 3
# All of an item but its boxes, with names in place of words that DynamoDB keeps for itself.
_BRIEFLY = {f"#{name}": name for name in (*(each.name for each in fields(Prediction)), "error") if name != "detections"}
# What tells why a photo failed.
_REASONS = {f"#{name}": name for name in ("prediction_id", "finished_at", "error", "reason")}
# DynamoDB takes no more keys at once.
_AT_ONCE = 100
# Each has up to 300 boxes, which take 5 KB each while they are read.
_WHOLE_AT_ONCE = 10
# A page of them is answered in time, whatever else is in the table.
_BETWEEN_AT_ONCE = 1000

# What shows that work on a prediction goes on. A queued one that is reopened keeps the time when it was begun before.
_TOUCHES = {Status.QUEUED: ("enqueued_at",), Status.PROCESSING: ("enqueued_at", "started_at")}


def find_many(prediction_ids: Sequence[str]) -> dict[str, Prediction]:
    """Return, by id, those of up to 100 predictions that exist; ask again for what DynamoDB leaves unread."""
    keys = [{"prediction_id": prediction_id} for prediction_id in prediction_ids]
    table = settings.PREDICTIONS_TABLE
    response = aws.dynamodb().batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    return {item["prediction_id"]: items.read(item) for item in response["Responses"][table]}


def known(prediction_ids: Sequence[str], *, consistent: bool = False) -> dict[str, Prediction]:
    """Return, by id, those of up to 100 predictions that exist and can be read.

    They may be a moment behind, unless `consistent`. What DynamoDB leaves unread is asked for again, but not forever:
    it may be throttling.
    """
    return _known(prediction_ids, ConsistentRead=consistent)


def known_briefly(prediction_ids: Sequence[str]) -> dict[str, Prediction]:
    """Return what `known` does, with detections made of the candidates, whose confidences are in 255ths.

    Stored detections are most of an item: those of a hundred crowded photos take seconds and 200 MB to read. Candidates
    take 10 bytes each. Clips and items of earlier releases have none, so they are read whole.
    """
    found = {
        identity: replace(each, detections=tuple(choosing.choose(each.candidates, each.options)))
        for identity, each in _known(prediction_ids, **_only(_BRIEFLY)).items()
    }
    whole = [identity for identity, each in found.items() if each.status is Status.SUCCEEDED and not each.candidates]
    for first in range(0, len(whole), _WHOLE_AT_ONCE):
        found |= known(whole[first : first + _WHOLE_AT_ONCE])
    return found


def with_reasons(found: Sequence[dict[str, Any]], table: str = "") -> list[dict[str, Any]]:
    """Return failed photos, as an index has them, with their reasons, which are in their items alone.

    What DynamoDB leaves unread has its sentence.
    """
    ids = [item["prediction_id"] for item in found]
    whole: dict[str, dict[str, Any]] = {}
    for first in range(0, len(ids), _AT_ONCE):
        read = _items(ids[first : first + _AT_ONCE], table or settings.PREDICTIONS_TABLE, **_only(_REASONS))
        whole |= {item["prediction_id"]: item for item in read}
    return [item | whole.get(item["prediction_id"], {}) for item in found]


def _only(names: Mapping[str, str]) -> dict[str, Any]:
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def _known(prediction_ids: Sequence[str], **how: Any) -> dict[str, Prediction]:
    found: dict[str, Prediction] = {}
    for item in _items(prediction_ids, settings.PREDICTIONS_TABLE, **how):
        with suppress(items.Incomplete):
            found[item["prediction_id"]] = items.read(item)
    return found


def _items(prediction_ids: Sequence[str], table: str, **how: Any) -> Iterator[dict[str, Any]]:
    keys = [{"prediction_id": each} for each in dict.fromkeys(prediction_ids)]
    left: dict[str, Any] = {table: {"Keys": keys, **how}}
    for _ in range(_ASKED_AT_MOST if prediction_ids else 0):
        response = aws.dynamodb().batch_get_item(RequestItems=left)
        yield from response["Responses"].get(table, ())
        left = response.get("UnprocessedKeys") or {}
        if not left:
            break


def latest_of_chat(chat_id: int, limit: int = 20) -> list[str]:
    """Return the ids of a chat's predictions, newest first."""
    response = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_chat",
        KeyConditionExpression="chat_id = :chat",
        ExpressionAttributeValues={":chat": chat_id},
        ScanIndexForward=False,
        Limit=limit,
    )
    return [item["prediction_id"] for item in response["Items"]]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a chat's list of photos, by the photo that is there or was."""

    prediction_id: str
    created_at: datetime


def page_of_chat(chat_id: int, start: Place | None, *, older: bool, limit: int) -> tuple[list[str], bool]:
    """Return the ids of up to `limit` photos of a chat behind a place, newest first, and whether more follow."""
    key = start and {
        "chat_id": chat_id,
        "prediction_id": start.prediction_id,
        "created_at": times.text(start.created_at),
    }
    response = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_chat",
        KeyConditionExpression="chat_id = :chat",
        ProjectionExpression="prediction_id",
        ExpressionAttributeValues={":chat": chat_id},
        ScanIndexForward=not older,
        Limit=limit + 1,
        **({"ExclusiveStartKey": key} if key else {}),
    )
    ids = [item["prediction_id"] for item in response["Items"]]
    found = ids[:limit]
    return found if older else found[::-1], len(ids) > limit


def seconds_since_newest() -> float | None:
    """Return how many seconds ago the newest photo came, infinity if none ever did, None if its time is unreadable.

    Items from the future are ignored: one of them would be the newest until its time comes.
    """
    response = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_time",
        KeyConditionExpression="#kind = :photo AND created_at <= :now",
        ProjectionExpression="created_at",
        ExpressionAttributeNames={"#kind": items.KIND},
        ExpressionAttributeValues={":photo": items.PHOTO, ":now": times.text(times.now())},
        ScanIndexForward=False,
        Limit=1,
    )
    if not response["Items"]:
        return math.inf
    created = times.parse(response["Items"][0]["created_at"])
    return (times.now() - created).total_seconds() if created else None


def between(since: datetime, until: datetime, kind: str = items.PHOTO) -> Iterator[dict[str, Any]]:
    """Yield what the index by time has of each photo, or other kind, made between two times, oldest first."""
    if until < since:  # DynamoDB refuses such a range.
        return
    pages = (
        aws.dynamodb()
        .get_paginator("query")
        .paginate(
            PaginationConfig={"PageSize": _BETWEEN_AT_ONCE},
            TableName=settings.PREDICTIONS_TABLE,
            IndexName="by_time",
            KeyConditionExpression="#kind = :kind AND created_at BETWEEN :since AND :until",
            ProjectionExpression="prediction_id, created_at, #status, delivery, delivered_at, finished_at",
            ExpressionAttributeNames={"#kind": items.KIND, "#status": "status"},
            ExpressionAttributeValues=items.plain({":kind": kind, ":since": since, ":until": until}),
        )
    )
    for page in pages:
        yield from page["Items"]


def waiting_before(created_at: datetime, most: int) -> int:
    """Count the unfinished photos that came before that time, up to about `most`."""
    return sum(
        aws.dynamodb().query(
            TableName=settings.PREDICTIONS_TABLE,
            IndexName="by_status",
            KeyConditionExpression="#status = :status AND created_at < :created",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=items.plain({":status": status, ":created": created_at}),
            Select="COUNT",
            Limit=most,
        )["Count"]
        for status in (Status.PROCESSING, Status.QUEUED)
    )


def waiting_since(limit: int) -> list[datetime]:
    """Return the arrival times of the `limit` oldest unfinished photos, oldest first."""
    found: list[datetime] = []
    for status in (Status.PROCESSING, Status.QUEUED):
        response = aws.dynamodb().query(
            TableName=settings.PREDICTIONS_TABLE,
            IndexName="by_status",
            KeyConditionExpression="#status = :status",
            ProjectionExpression="created_at",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": status},
            Limit=limit,
        )
        found += filter(None, (times.parse(item["created_at"]) for item in response["Items"]))
    return sorted(found)[:limit]


def unanswered(finished_before: datetime) -> Iterator[tuple[str, int]]:
    """Yield (prediction_id, chat_id) of answers ready before that time that nobody is sending, oldest first.

    A pending answer may have been postponed; one that is being sent is free once its sender's lease has run out.
    """
    for delivery in (Delivery.PENDING, Delivery.DELIVERING):
        finished = "finished_at < :before"
        for item in _query("by_delivery", delivery, finished_before, finished, {":before": finished_before}):
            if "chat_id" in item and times.latest(times.parse(item.get("delivery_until"))) < times.now():
                yield item["prediction_id"], int(item["chat_id"])


def unfinished(status: Status, left_before: datetime, untouched_since: datetime) -> Iterator[Prediction]:
    """Yield predictions of that status, created or reopened before one time and last sent or begun before the other.

    The index finds them; they are read again, as they are now. An incomplete item is left to the operator: it must not
    hold up the others.
    """
    untouched = " AND ".join(f"(attribute_not_exists({touch}) OR {touch} < :since)" for touch in _TOUCHES[status])
    incomplete = []
    for item in _query("by_status", status, left_before, untouched, {":since": untouched_since}):
        try:
            prediction = predictions.find(item["prediction_id"])
        except items.Incomplete:
            incomplete.append(item["prediction_id"])
            continue
        if prediction and prediction.status is status and _left(prediction, left_before, untouched_since):
            yield prediction
    if incomplete:
        log.error("items_incomplete", status=status, found=len(incomplete), oldest=incomplete[0])


def _left(prediction: Prediction, left_before: datetime, untouched_since: datetime) -> bool:
    touches = (getattr(prediction, touch) for touch in _TOUCHES[prediction.status])
    untouched = all(touch is None or touch < untouched_since for touch in touches)
    return untouched and times.latest(prediction.reopened_at) < left_before


def _query(
    index: str, value: str, created_before: datetime, condition: str, values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a few attributes of each item of an index that meets a condition, oldest first.

    DynamoDB applies the condition, so the thousands that merely wait for their turn are never transferred.
    """
    pages = (
        aws.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=settings.PREDICTIONS_TABLE,
            IndexName=index,
            KeyConditionExpression="#attribute = :value AND created_at < :created",
            FilterExpression=condition,
            ProjectionExpression="prediction_id, chat_id, delivery_until",
            ExpressionAttributeNames={"#attribute": index.removeprefix("by_")},
            ExpressionAttributeValues=items.plain({":value": value, ":created": created_before, **values}),
        )
    )
    for page in pages:
        yield from page["Items"]
