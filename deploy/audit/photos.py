"""Judge photos: who was told, who was not, who was told twice, and what is left of photos that are gone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings

from botsite import aws
from detection.record import deletions, queries, times
from detection.record.schemas import Delivery, Prediction, Status
from detection.work import dead_letters

# What is younger may be under way: a machine boots, Telegram is slow, an answer is tried again.
LATE = timedelta(hours=1)
# DynamoDB takes so many keys in one request.
_AT_ONCE = 100
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


def judge(since: datetime, until: datetime, answers: Mapping[str, int], *, paused: bool) -> Iterator[Found]:
    """Judge the photos that came between two times; yield what is found so far, after each thousand."""
    found = Found()
    doubtful: list[str] = []
    for number, photo in enumerate(queries.between(since, until), 1):
        found.photos[photo["prediction_id"]] = photo
        if not _settled(photo, answers.get(photo["prediction_id"], 0), found):
            doubtful.append(photo["prediction_id"])
        if number % 1000 == 0:
            yield found
    for prediction in _whole(doubtful):
        _judge(prediction, answers.get(prediction.prediction_id, 0), until, paused, found)
    yield found


def _settled(photo: Mapping[str, Any], answers: int, found: Found) -> bool:
    """Return whether nothing is doubtful about a photo; count it then."""
    if photo["delivery"] != Delivery.DELIVERED or answers > 1:
        return False
    found.outcomes["answered" if photo["status"] == Status.SUCCEEDED else "told why not"] += 1
    return True


def _judge(photo: Prediction, answers: int, until: datetime, paused: bool, found: Found) -> None:
    # A replayed dead letter reopens a photo without an operator's act on it.
    again = sum(act.operation in _AGAIN for act in photo.acts) or int(photo.reopened_at is not None)
    touched = times.latest(photo.created_at, photo.reopened_at)
    if answers > 1 + again:
        found.outcomes["doubled"] += 1
        found.broken(photo.prediction_id, "doubled", f"{answers} answers")
    elif photo.delivery is Delivery.DELIVERED:
        found.outcomes["answered" if photo.status is Status.SUCCEEDED else "told why not"] += 1
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


def strays(found: Found, answers: Iterable[str]) -> None:
    """Note answers to photos that nobody sent; those of older photos, and of photos deleted since, are none."""
    unknown = [each for each in answers if each and each not in found.photos]
    known = {each.prediction_id for each in _whole(unknown)}
    found.outcomes["answered, and gone since"] += len(unknown) - len(known)


def leftovers(found: Found, since: datetime, until: datetime) -> None:
    """Note images whose item is gone: of a photo that was deleted, or that was stored and never known."""
    stored: dict[str, str] = {}
    for key, at in _images():
        identity = key.partition("/")[2].removesuffix(".jpg")
        if since <= at < until - LATE and identity not in found.photos:
            stored[identity] = key
    known = {each.prediction_id for each in _whole(list(stored))}
    for identity in stored.keys() - known:
        found.broken(identity, "left behind", f"{stored[identity]} has no item")


def kept(found: Found) -> None:
    """Note photos of private chats that are still there although their sender has had everything deleted since."""
    by_person: dict[str, list[Mapping[str, Any]]] = {}
    for photo in found.photos.values():
        chat_id = int(photo["chat_id"])
        if chat_id > 0:
            by_person.setdefault(deletions.Person(chat_id, chat_id).key, []).append(photo)
    for key, at in _deleted_at(list(by_person)):
        if times.now() - at < LATE:
            continue
        for photo in by_person[key]:
            if (times.parse(photo["created_at"]) or times.NEVER) < at:
                found.broken(photo["prediction_id"], "kept", f"its sender had everything deleted at {times.text(at)}")


def unburied(found: Found, until: datetime) -> None:
    """Note dead letters whose senders were not told in an hour."""
    with closing(dead_letters.read()) as letters:
        old = {
            each.prediction_id: each
            for each in letters
            if each.prediction_id and each.sent_at / 1000 < (until - LATE).timestamp()
        }
    for photo in _whole(list(old)):
        if not photo.finished:
            found.broken(photo.prediction_id, "dead letter", f"given up by SQS, and still {photo.status}")


def _whole(ids: Sequence[str]) -> Iterator[Prediction]:
    for some in _hundreds(ids):
        yield from queries.known(some).values()


def _images() -> Iterator[tuple[str, datetime]]:
    pages = aws.client("s3").get_paginator("list_objects_v2")
    for folder in _FOLDERS:
        for page in pages.paginate(Bucket=settings.IMAGES_BUCKET, Prefix=folder):
            yield from ((each["Key"], each["LastModified"]) for each in page.get("Contents", ()))


def _deleted_at(keys: Sequence[str]) -> Iterator[tuple[str, datetime]]:
    for some in _hundreds(keys):
        wanted = {"Keys": [{"prediction_id": key} for key in some], "ProjectionExpression": "prediction_id, created_at"}
        answer = aws.dynamodb().batch_get_item(RequestItems={settings.PREDICTIONS_TABLE: wanted})
        for item in answer["Responses"][settings.PREDICTIONS_TABLE]:
            yield item["prediction_id"], times.parse(item["created_at"]) or times.NEVER


def _hundreds(ids: Sequence[str]) -> Iterator[list[str]]:
    left = iter(ids)
    while some := list(islice(left, _AT_ONCE)):
        yield some
