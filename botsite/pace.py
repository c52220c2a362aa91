"""Keep everybody who sends with the bot's token, on any machine, under Telegram's limits; and who logs in, under ours.

Each limit is one DynamoDB item with the time from which the next message may go (the generic cell rate algorithm).
Reserving a place is one conditional write, so that senders need not know of each other; a 429 moves the time on for
all of them.
"""

import time
from dataclasses import dataclass
from decimal import Decimal

from botocore.exceptions import ClientError
from django.conf import settings

from . import aws

# A request does not wait longer than this for its place; whoever asked is to ask again.
LONGEST_WAIT_SECONDS = 5.0
_EXPIRES_SECONDS = 3600


class TooBusy(Exception):
    """There is no place soon; ask again after `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"Telegram's limit is reached for {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """One message each `interval_seconds`, of which `burst` may come at once after a pause."""

    key: str
    interval_seconds: float
    burst: int


# Telegram: about 30 messages a second for a bot, about one a second in a chat; "short bursts" are let pass.
BOT = Limit("pace#bot", 1 / 25, 3)


def chat(chat_id: int) -> Limit:
    """Return the limit of one chat."""
    return Limit(f"pace#chat#{chat_id}", 1.0, 3)


def reserve(limit: Limit) -> float:
    """Take the next place; return how many seconds from now it is. Raise TooBusy if that is too long."""
    while True:
        now = time.time()
        if _write(limit, now, "attribute_not_exists(next_at) OR next_at <= :now", now + limit.interval_seconds):
            return 0.0
        tolerance = limit.burst * limit.interval_seconds
        following = _advance(limit, now, now + tolerance + LONGEST_WAIT_SECONDS)
        if following is not None:
            return max(0.0, following - limit.interval_seconds - tolerance - now)


def pause(limit: Limit, seconds: float) -> None:
    """Let nobody have a place for `seconds`: Telegram asked for it."""
    now = time.time()
    until = now + seconds + limit.burst * limit.interval_seconds
    _write(limit, until, "attribute_not_exists(next_at) OR next_at < :now", until)


def forget(limit: Limit) -> None:
    """Let the next burst come at once, as if nothing had been before."""
    aws.dynamodb().delete_item(TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": limit.key})


def _advance(limit: Limit, now: float, latest: float) -> float | None:
    """Move the time on by one interval; return it, or None if the time has passed meanwhile. Raise TooBusy."""
    try:
        answer = aws.dynamodb().update_item(
            TableName=settings.PREDICTIONS_TABLE,
            Key={"prediction_id": limit.key},
            UpdateExpression="SET next_at = next_at + :interval",
            ConditionExpression="next_at > :now AND next_at <= :latest",
            ExpressionAttributeValues={
                ":interval": _decimal(limit.interval_seconds),
                ":now": _decimal(now),
                ":latest": _decimal(latest),
            },
            ReturnValues="UPDATED_NEW",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        _refuse(limit, latest)
        return None
    return float(answer["Attributes"]["next_at"])


def _refuse(limit: Limit, latest: float) -> None:
    """Raise TooBusy if there is no place up to `latest`."""
    key = {"prediction_id": limit.key}
    item = aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=key, ConsistentRead=True).get("Item", {})
    next_at = float(item.get("next_at", 0))
    if next_at > latest:
        raise TooBusy(next_at - latest + LONGEST_WAIT_SECONDS / 2)


def _write(limit: Limit, now: float, condition: str, next_at: float) -> bool:
    """Set the time if the condition holds; return whether it did."""
    try:
        aws.dynamodb().update_item(
            TableName=settings.PREDICTIONS_TABLE,
            Key={"prediction_id": limit.key},
            UpdateExpression="SET next_at = :next, expires_at = :expires",
            ConditionExpression=condition,
            ExpressionAttributeValues={
                ":next": _decimal(next_at),
                ":now": _decimal(now),
                ":expires": int(next_at) + _EXPIRES_SECONDS,
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _decimal(seconds: float) -> Decimal:
    return Decimal(f"{seconds:.3f}")
