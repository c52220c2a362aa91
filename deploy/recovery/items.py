"""Copy predictions from a copy of the table back into the table, while the service uses it."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from botsite import aws
from detection import items
from detection.schemas import Delivery, Status

Item = Mapping[str, Any]
_ENDED = (Status.SUCCEEDED, Status.FAILED)
_ANSWERED = (Delivery.DELIVERED, Delivery.UNDELIVERABLE)
# What every change of an item touches.
_STATE = ("status", "delivery", "attempts")
_SAY_EVERY = 1000


class Fate(StrEnum):
    """What became of an item of the copy."""

    RESTORED = "restored"
    OVERWRITTEN = "overwritten"
    SAME = "there already, the same"
    CHANGED = "there already, changed since: left alone"
    UNANSWERED = "not answered at that time: left out"
    EXPIRED = "expired since: left out"
    OTHER = "no predictions: left out"


@dataclass(frozen=True)
class Way:
    """How to copy: `per_second` items at most.

    `overwrite`: what was changed since gets its old state, if it was answered then: an older state of the others would
    answer a photo twice. `answered_only`: leave out what was not answered then, which the service would answer now.
    """

    per_second: float
    overwrite: bool = False
    answered_only: bool = False


def restore(copy: str, table: str, way: Way, say: Callable[[str], None]) -> dict[Fate, int]:
    """Copy every prediction, and return how many had which fate. Doing it again changes nothing more."""
    fates, begun = dict.fromkeys(Fate, 0), time.monotonic()
    for number, item in enumerate(_scan(copy), 1):
        fates[_restore(item, table, way)] += 1
        if number % _SAY_EVERY == 0:
            say(f"{number:,} items of {copy} are done, {fates[Fate.RESTORED]:,} restored")
        time.sleep(max(0.0, begun + number / way.per_second - time.monotonic()))
    return fates


def _restore(item: Item, table: str, way: Way) -> Fate:
    # Other items are leases and limits of that time, which mean nothing now.
    if item.get(items.KIND) != items.PHOTO:
        return Fate.OTHER
    if item.get("expires_at", 0) and item["expires_at"] <= time.time():
        return Fate.EXPIRED
    if way.answered_only and not _answered(item):
        return Fate.UNANSWERED
    if _put(item, table, None):
        return Fate.RESTORED
    there = aws.dynamodb().get_item(TableName=table, Key={"prediction_id": item["prediction_id"]}, ConsistentRead=True)
    if there.get("Item") == item:
        return Fate.SAME
    if way.overwrite and _answered(item) and _put(item, table, there.get("Item")):
        return Fate.OVERWRITTEN
    return Fate.CHANGED


def _put(item: Item, table: str, seen: Item | None) -> bool:
    """Store an item if nothing is there, or what was seen; return whether it was."""
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(prediction_id)"}
    if seen is not None:
        tests = [f"#{name} = :{name}" if name in seen else f"attribute_not_exists(#{name})" for name in _STATE]
        values = {f":{name}": seen[name] for name in _STATE if name in seen}
        condition = {"ConditionExpression": " AND ".join(tests)}
        condition["ExpressionAttributeNames"] = {f"#{name}": name for name in _STATE}
        condition |= {"ExpressionAttributeValues": values} if values else {}
    try:
        aws.dynamodb().put_item(TableName=table, Item=item, **condition)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _answered(item: Item) -> bool:
    return item.get("status") in _ENDED and item.get("delivery") in _ANSWERED


def _scan(table: str) -> Iterator[Item]:
    for page in aws.dynamodb().get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]
