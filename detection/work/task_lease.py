"""Keep a task from running twice at once by a lease in the predictions table, which every machine can see.

A lock within the process would not do. While the group replaces the metric role's machine there are two, and a new
process may start before the old one has ended.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from botsite import aws
from detection.record import items, times

# DynamoDB deletes a lease that nobody has taken for a day.
_EXPIRES_SECONDS = 86_400


@contextmanager
def take(task: str, lasting: timedelta) -> Iterator[bool]:
    """Yield whether it is the caller's turn, and nobody else's, until the block ends or `lasting` has passed.

    A process that dies holds up the others for `lasting`; the work in the block has to be done within it.
    """
    mine = {":mine": uuid4().hex}
    until = {":now": times.now(), ":until": times.now(lasting), ":expires": _expires_at()}
    granted = _write(
        task,
        "SET holder = :mine, held_until = :until, expires_at = :expires",
        # botocore repeats a write whose reply was lost: that one finds the turn to be its own.
        "attribute_not_exists(held_until) OR held_until < :now OR holder = :mine",
        mine | until,
    )
    try:
        yield granted
    finally:
        if granted:
            _write(task, "REMOVE held_until", "holder = :mine", mine)


def _expires_at() -> int:
    return int(time.time()) + _EXPIRES_SECONDS


def _write(task: str, update: str, condition: str, values: Mapping[str, Any]) -> bool:
    """Change the lease if the condition holds; return whether it did."""
    reply = aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": f"turn#{task}"},
        UpdateExpression=update,
        ConditionExpression=condition,
        ExpressionAttributeValues=items.plain(values),
    )
    return reply is not None
