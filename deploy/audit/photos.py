"""Judge photos: who was told, who was not, who was told twice, and what is left of photos that are gone."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from botsite import aws
from detection.record import deletions, items, queries, times
from detection.record.schemas import Delivery, Prediction, Status
from detection.work import dead_letters

# What is younger may be under way: a machine boots, Telegram is slow, an answer is tried again.
LATE = timedelta(hours=1)
# DynamoDB takes so many keys in one request.
_AT_ONCE = 100
_BUSY_SECONDS = 1.0
# What an operator does that makes another answer right.
_AGAIN = ("retry", "resend")
_FOLDERS = ("photos/", "results/")


@dataclass(frozen=True)
class Breach:
    """A photo that breaks the promise: how, by one word, and what was seen."""

    prediction_id: str
    kind: str
    seen: str


@dataclass
class Found:
    """What became of the photos, by outcome, and which of them break the promise."""

    outcomes: Counter[str] = field(default_factory=Counter)
    breaches: list[Breach] = field(default_factory=list)
    photos: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def broken(self, prediction_id: str, kind: str, seen: str) -> None:
        """Note a breach."""
        self.breaches.append(Breach(prediction_id, kind, seen))


def judge(
    since: datetime, until: datetime, answers: Mapping[str, int], say: Callable[[int], None], *, paused: bool
) -> Found:
    """Judge the photos that came between two times; `say` is told how many were read, after each thousand."""
    found = Found()
    doubtful: list[str] = []
    for number, photo in enumerate(queries.between(since, until), 1):
        identity = photo["prediction_id"]
        found.photos[identity] = photo
        if photo.get("delivery") != Delivery.DELIVERED or answers.get(identity, 0) > 1:
            doubtful.append(identity)
        else:
            found.outcomes[_told(photo.get("status"))] += 1
        if number % 1000 == 0:
            say(number)
    for item in _items(doubtful):
        identity = item["prediction_id"]
        try:
            _judge(items.read(item), answers.get(identity, 0), until, paused, found)
        except items.Incomplete as error:
            found.broken(identity, "unreadable", str(error))
    return found


def _told(status: object) -> str:
    return "answered" if status == Status.SUCCEEDED else "told why not"


def _judge(photo: Prediction, answers: int, until: datetime, paused: bool, found: Found) -> None:
    # A replayed dead letter reopens a photo without an operator's act on it.
    again = sum(act.operation in _AGAIN for act in photo.acts) or int(photo.reopened_at is not None)
    touched = times.latest(photo.created_at, photo.reopened_at)
    if answers > 1 + again:
        found.outcomes["doubled"] += 1
        found.broken(photo.prediction_id, "doubled", f"{answers} answers")
    elif photo.delivery is Delivery.DELIVERED:
        found.outcomes[_told(photo.status)] += 1
    elif photo.delivery is Delivery.UNDELIVERABLE and not photo.delivery_failures:
        found.outcomes["chat gone or bot blocked"] += 1
    elif photo.delivery is Delivery.UNDELIVERABLE:
        found.outcomes["given up"] += 1
        found.broken(photo.prediction_id, "given up", "its answer failed for hours; its sender knows nothing")
    elif paused or until - touched < LATE:
        found.outcomes["under way"] += 1
    else:
        found.outcomes["unanswered"] += 1
        found.broken(photo.prediction_id, "unanswered", f"{photo.status}, {photo.delivery} since {times.text(touched)}")


def gone(found: Found, answered: Collection[str]) -> None:
    """Count the answers to photos that are no longer there. Whether one was ever there can't be told from here."""
    unknown = [each for each in answered if each and each not in found.photos]
    found.outcomes["answered, and gone since"] += len(unknown) - len(_there(unknown))


def leftovers(found: Found, since: datetime, until: datetime) -> None:
    """Note images whose item is gone: of a photo that was deleted, or that was stored and never known."""
    stored: dict[str, str] = {}
    for key, at in _images():
        identity = key.partition("/")[2].removesuffix(".jpg")
        if since <= at < until - LATE and identity not in found.photos:
            stored[identity] = key
    for identity in stored.keys() - _there(list(stored)):
        found.broken(identity, "left behind", f"{stored[identity]} has no item")


def kept(found: Found) -> None:
    """Note photos of private chats that are still there although their sender has had everything deleted since."""
    by_person: dict[str, list[Mapping[str, Any]]] = {}
    for photo in found.photos.values():
        chat_id = int(photo.get("chat_id", 0))
        if chat_id > 0:
            by_person.setdefault(deletions.Person(chat_id, chat_id).key, []).append(photo)
    for tombstone in _items(list(by_person), "created_at"):
        at = times.parse(tombstone["created_at"]) or times.NEVER
        if times.now() - at < LATE:
            continue
        for photo in by_person[tombstone["prediction_id"]]:
            if (times.parse(photo["created_at"]) or times.NEVER) < at:
                found.broken(photo["prediction_id"], "kept", f"its sender had everything deleted at {times.text(at)}")


def unburied(found: Found, until: datetime) -> None:
    """Note dead letters whose senders were not told in an hour."""
    before = 1000 * (until - LATE).timestamp()
    with closing(dead_letters.read()) as letters:
        old = [each.prediction_id for each in letters if each.prediction_id and each.sent_at < before]
    for item in _items(old, "#status"):
        if item.get("status") in (Status.QUEUED, Status.PROCESSING):
            found.broken(item["prediction_id"], "dead letter", f"given up by SQS, and still {item['status']}")


def _images() -> Iterator[tuple[str, datetime]]:
    pages = aws.client("s3").get_paginator("list_objects_v2")
    for folder in _FOLDERS:
        for page in pages.paginate(Bucket=settings.IMAGES_BUCKET, Prefix=folder):
            yield from ((each["Key"], each["LastModified"]) for each in page.get("Contents", ()))


def _there(ids: Sequence[str]) -> set[str]:
    """Return those of the ids that have an item."""
    return {item["prediction_id"] for item in _items(ids, "#status")}


def _items(ids: Sequence[str], name: str = "") -> Iterator[dict[str, Any]]:
    """Yield the items that exist, or one attribute of each. Nothing is left out: what is unread would count as gone."""
    only = {"ProjectionExpression": f"prediction_id, {name}"} if name else {}
    names = {"ExpressionAttributeNames": {"#status": "status"}} if name == "#status" else {}
    keys = [{"prediction_id": each} for each in dict.fromkeys(ids)]
    for start in range(0, len(keys), _AT_ONCE):
        left: dict[str, Any] = {settings.PREDICTIONS_TABLE: {"Keys": keys[start : start + _AT_ONCE], **only, **names}}
        while left:
            answer = aws.dynamodb().batch_get_item(RequestItems=left)
            yield from answer["Responses"].get(settings.PREDICTIONS_TABLE, ())
            if left := answer.get("UnprocessedKeys") or {}:
                aws.pause(_BUSY_SECONDS)
