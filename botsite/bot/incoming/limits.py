"""Give each person so many photos a minute and a day, counted in DynamoDB, which all sites share.

A person has one item, `limit#<id>`. It is read, counted on and written back if nobody else has written it meanwhile:
one write for each photo, and no count is lost. The item also remembers the newest photos, so that an update that comes
again counts once. A refusal is counted too, for the operators: the items of those who were refused are in the index
`by_time` under a kind of their own, by the time of the last refusal.

While DynamoDB fails, nobody is let through and nobody is refused: the update comes again, as it would without limits,
since no photo can be stored without the table.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings

from botsite import aws
from botsite.bot.incoming.updates import Guest, Photo
from detection.record import items, times

# Photos in a row whose repeated updates are known.
_REMEMBERED = 32
_MINUTE = timedelta(minutes=1)
# As long as a day's count may matter, and operators may ask.
_KEPT = timedelta(days=2)
LIMITED = "limited"
# Telegram sends a chat's updates one by one, so only people who write in several chats at once meet themselves.
_TRIES = 50
_AGAIN_SECONDS = 0.02
_LISTED_AT_MOST = 20


class Busy(Exception):
    """Too many photos of one person are counted at the same time: the update is to come again."""

    retry_after_seconds = 1.0


class Span(StrEnum):
    """What a limit counts in."""

    MINUTE = "minute"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Most:
    """How many photos one person may send in a minute and in a day; None for as many as they like."""

    minute: int | None
    day: int | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many photos of a person were let through: since `minute_from` (epoch seconds), and on `day` (2026-11-26).

    `kept_out` are those of the minute that were not. `recent` are the newest of those let through; `refused` counts
    those of that day that were not, the last of which was at `refused_at`, because of the limit `refused_by`.
    """

    minute_from: float = 0.0
    in_minute: int = 0
    day: str = ""
    in_day: int = 0
    recent: tuple[str, ...] = ()
    refused: int = 0
    refused_at: datetime | None = None
    refused_by: str = ""
    kept_out: int = 0


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that a person has reached, how many photos it is, and until when (UTC) it holds.

    `since` is when its minute began, in epoch seconds.
    """

    span: Span
    most: int
    until: datetime
    since: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Limited:
    """A person (an id) who was refused, and their count."""

    person: str
    count: Count


def key(person: int) -> str:
    """Return the key of a person's item.

    It holds no photo and no text, only counts, for two days. Deleting a person's data leaves it: otherwise each
    deletion would reset the limit.
    """
    return f"limit#{person}"


def person_of(asked: Photo | Guest) -> int:
    """Return whose limit a photo counts for: the sender, a user or a channel."""
    if asked.sender_chat is not None:
        return asked.sender_chat
    return asked.chat_id if asked.sender_id is None else asked.sender_id


def count(before: Count, photo: str, now: datetime, most: Most) -> tuple[Count, Reached | None]:
    """Return the count with one more photo, and the limit that keeps it out, if one does."""
    current = _of_now(before, now)
    reached = _reached(current, now, most)
    if reached:
        refused, kept_out = current.refused + 1, current.kept_out + 1
        return replace(current, refused=refused, kept_out=kept_out, refused_at=now, refused_by=reached.span), reached
    recent = (*current.recent, photo)[-_REMEMBERED:]
    return replace(current, in_minute=current.in_minute + 1, in_day=current.in_day + 1, recent=recent), None


def _of_now(before: Count, now: datetime) -> Count:
    """Return the count without what is over. Clocks of sites differ a little: a day that has begun is not undone."""
    current = before
    if abs(now.timestamp() - before.minute_from) >= _MINUTE.total_seconds():
        current = replace(current, minute_from=now.timestamp(), in_minute=0, kept_out=0)
    today, tomorrow = f"{now:%Y-%m-%d}", f"{now + timedelta(days=1):%Y-%m-%d}"
    if before.day not in (today, tomorrow):
        current = replace(current, day=today, in_day=0, refused=0)
    return current


def _reached(current: Count, now: datetime, most: Most) -> Reached | None:
    """Return the limit that holds for longest."""
    if most.day is not None and current.in_day >= most.day:
        midnight = datetime.fromisoformat(current.day).replace(tzinfo=UTC) + timedelta(days=1)
        return Reached(Span.DAY, most.day, midnight)
    if most.minute is not None and current.in_minute >= most.minute:
        # People are told whole seconds.
        until = datetime.fromtimestamp(int(current.minute_from) + 1, UTC) + _MINUTE
        return Reached(Span.MINUTE, most.minute, until, current.minute_from)
    return None


def in_force() -> bool:
    """Return whether there is any limit."""
    return settings.PHOTOS_PER_MINUTE is not None or settings.PHOTOS_PER_DAY is not None


def take(person: int, photo: str) -> Reached | None:
    """Count a photo (the id of its prediction) of a person; return the limit that keeps it out, if one does.

    Raise Busy, or botocore's errors: then nothing was counted.
    """
    if not in_force():
        return None
    most = Most(settings.PHOTOS_PER_MINUTE, settings.PHOTOS_PER_DAY)
    for _ in range(_TRIES):
        item = _item(key(person))
        before = read(item)
        if photo in before.recent:
            return None
        after, reached = count(before, photo, times.now(), most)
        if _replaced(person, item, after):
            return reached
        time.sleep(random.uniform(0, _AGAIN_SECONDS))  # noqa: S311 - spreads those who meet.
    raise Busy(f"{_TRIES} others were counted for {person} meanwhile")


def counted(person: int) -> Count:
    """Return the count of a person."""
    return read(_item(key(person)))


def refused_lately() -> list[Limited]:
    """Return who was refused in the last two days, the last one first; nobody without a limit."""
    if not in_force():
        return []
    found = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_time",
        KeyConditionExpression="#kind = :limited",
        ProjectionExpression="prediction_id",
        ExpressionAttributeNames={"#kind": items.KIND},
        ExpressionAttributeValues={":limited": LIMITED},
        ScanIndexForward=False,
        Limit=_LISTED_AT_MOST,
    )
    keys = [item["prediction_id"] for item in found["Items"]]
    since = times.now(-_KEPT)
    people = (Limited(each.partition("#")[2], read(_item(each))) for each in keys)
    return [each for each in people if each.count.refused_at and each.count.refused_at > since]


def read(item: Mapping[str, Any] | None) -> Count:
    """Return what an item says; nothing counted if somebody has written something else into it by hand."""
    if not item:
        return Count()
    try:
        return Count(
            minute_from=float(item["minute_from"]),
            in_minute=int(item["in_minute"]),
            day=str(datetime.fromisoformat(item["day"]).date()),
            in_day=int(item["in_day"]),
            recent=tuple(map(str, item["recent"])),
            refused=int(item["refused"]),
            refused_at=times.parse(item.get("created_at")),
            refused_by=str(item.get("refused_by", "")),
            kept_out=int(item.get("kept_out", 0)),
        )
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return Count()


def _item(name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (
        aws.dynamodb()
        .get_item(TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": name}, ConsistentRead=True)
        .get("Item")
    )
    return found


def _replaced(person: int, before: Mapping[str, Any] | None, after: Count) -> bool:
    """Write the count if the item is still as it was read; return whether it was."""
    version = (before or {}).get("version")
    values = {} if version is None else {":seen": version}
    condition = "attribute_not_exists(version)" if version is None else "version = :seen"
    # botocore repeats a write whose reply was lost, which then finds its own; the next try finds the photo in it.
    reply = aws.conditional(
        aws.dynamodb().put_item,
        Item=_written(person, after),
        ConditionExpression=condition,
        **({"ExpressionAttributeValues": values} if values else {}),
    )
    return reply is not None


def _written(person: int, after: Count) -> dict[str, Any]:
    refused = (
        {items.KIND: LIMITED, "created_at": times.text(after.refused_at), "refused_by": str(after.refused_by)}
        if after.refused_at
        else {}
    )
    return {
        "prediction_id": key(person),
        "version": f"{random.getrandbits(64):016x}",
        "minute_from": items.exact(after.minute_from),
        "in_minute": after.in_minute,
        "day": after.day,
        "in_day": after.in_day,
        "recent": list(after.recent),
        "refused": after.refused,
        "kept_out": after.kept_out,
        "expires_at": int(times.now(_KEPT).timestamp()),
        **refused,
    }
