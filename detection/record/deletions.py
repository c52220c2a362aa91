"""Remember a person's request to delete all their data in a chat, until no late update can arrive any more.

A tombstone is written before anything is deleted. It keeps what was sent earlier from being stored again, it holds how
far the work is (detection/work/erasure.py), so that another site continues after one that died, and it names nobody
once the work is done. The work is done twice: the second time finds what an index did not show the first time.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings

from botsite import aws
from detection.record import items, predictions, times

_KEY = "deleted#"
KIND = "deletion"
# Telegram keeps an update for 24 hours.
_REMEMBERED = timedelta(hours=25)
# Longer than a photo is held by a worker that is gone, and than somebody may hide a dead letter.
SECOND_TIME = timedelta(minutes=6)
# Somebody has everything deleted once in this time: it reads all of a chat, and the dead letters.
_AGAIN = timedelta(minutes=1)
# A run that has not said for so long that it goes on has died.
ABANDONED = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a chat. In a private chat everything is theirs, in a group what they sent or asked about."""

    chat_id: int
    user_id: int

    @property
    def alone(self) -> bool:
        """Return whether nobody else talks there."""
        return self.chat_id > 0

    @property
    def key(self) -> str:
        """Return the key of the tombstone, which tells nobody whose it is."""
        return self.key_by(settings.PREDICTION_ID_KEY)

    def key_by(self, secret: str) -> str:
        """Return the key of the tombstone that a service with this PREDICTION_ID_KEY makes."""
        user_id = self.chat_id if self.alone else self.user_id
        return (
            _KEY
            + hmac.new(secret.encode(), f"deleted:{self.chat_id}:{user_id}".encode(), hashlib.sha256).hexdigest()[:32]
        )


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion as its tombstone has it. `question` is the message whose button was pressed, in that chat and topic.

    `photos` is how many were deleted so far. `again`: the person was told; it is done the second time. `run` is an id
    for one run of the work.
    """

    key: str
    person: Person
    at: datetime
    question: int
    language: str
    photos: int
    again: bool
    run: str
    thread_id: int | None = None


class TakenOver(Exception):
    """Another run works on this deletion, or a newer one has begun."""


def is_key(prediction_id: str) -> bool:
    """Return whether this is the key of a tombstone rather than a prediction's id."""
    return prediction_id.startswith(_KEY)


def covers(chat_id: int, user_id: int | None, sent_at: datetime, author_id: int | None = None) -> bool:
    """Return whether a photo sent there at that time has been deleted since, by its sender or its author.

    Telegram's times have whole seconds. An author deletes in that group, or in their own chat what a guest was asked.
    """
    found = (deleted_at(each.chat_id, each.user_id) for each in people(chat_id, user_id, author_id))
    return any(at is not None and sent_at.replace(microsecond=0) <= at for at in found)


def people(chat_id: int, user_id: int | None, author_id: int | None = None) -> list[Person]:
    """Return whose deletion there takes a photo along: its sender's and its author's.

    Nobody can ask for the deletion of what a channel, or a group's own voice, has sent.
    """
    found = [] if user_id is None and chat_id <= 0 else [Person(chat_id, user_id or chat_id)]
    return found if author_id is None else [*found, Person(chat_id if chat_id < 0 else author_id, author_id)]


def deleted_at(chat_id: int, user_id: int | None) -> datetime | None:
    """Return when that person's data was deleted last, None if it wasn't in the last 24 hours."""
    item = _tombstone(chat_id, user_id)
    return times.parse(item.get("created_at")) if item else None


def question_of(chat_id: int, user_id: int | None) -> int | None:
    """Return the message by which that person's data was deleted last, None if it wasn't in the last 24 hours."""
    item = _tombstone(chat_id, user_id)
    return int(item.get("question", 0)) if item else None


def begin(person: Person, question: int, language: str = "", thread_id: int | None = None) -> bool:
    """Write the tombstone; return False if this question, or a later one, was answered before, or another just now."""
    item = {
        "prediction_id": person.key,
        items.KIND: KIND,
        "created_at": times.text(times.now()),
        # Not `chat_id`, which would list it among the chat's photos.
        "chat": person.chat_id,
        "person": person.user_id,
        "question": question,
        "language": language,
        "photos": 0,
    }
    if thread_id is not None:
        item["thread_id"] = thread_id
    begun = aws.conditional(
        aws.dynamodb().put_item,
        Item=item,
        ConditionExpression="attribute_not_exists(prediction_id) OR (question < :question AND created_at < :again)",
        ExpressionAttributeValues=items.plain({":question": question, ":again": times.now(-_AGAIN)}),
    )
    return begun is not None


def due() -> Iterator[str]:
    """Yield the keys of deletions that nobody works on and that should go on, oldest first."""
    pages = (
        aws.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=settings.PREDICTIONS_TABLE,
            IndexName="by_time",
            KeyConditionExpression="#kind = :kind",
            FilterExpression="attribute_not_exists(finished_at) AND created_at < :abandoned"
            " AND (attribute_not_exists(started_at) OR started_at < :abandoned)"
            " AND (attribute_not_exists(delivered_at) OR created_at < :second)",
            ProjectionExpression="prediction_id",
            ExpressionAttributeNames={"#kind": items.KIND},
            ExpressionAttributeValues=items.plain(
                {":kind": KIND, ":abandoned": times.now(-ABANDONED), ":second": times.now(-SECOND_TIME)}
            ),
        )
    )
    for page in pages:
        yield from (item["prediction_id"] for item in page["Items"])


def claim(key: str) -> Deletion | None:
    """Take a deletion to work on; None if somebody works on it, or nothing is left to do."""
    run = uuid4().hex
    item = _update(
        key,
        "SET started_at = :now, holder = :run",
        # botocore repeats a write whose reply was lost: that one finds the run to be its own.
        "attribute_exists(chat) AND (attribute_not_exists(started_at) OR started_at < :abandoned OR holder = :run)"
        " AND (attribute_not_exists(delivered_at) OR created_at < :second)",
        {":now": times.now(), ":run": run, ":abandoned": times.now(-ABANDONED), ":second": times.now(-SECOND_TIME)},
    )
    return _read(item) if item else None


def note_told(deletion: Deletion) -> None:
    """Record that the person was told; the second time is due a few minutes later."""
    _update(deletion.key, "SET delivered_at = :now", _RUNS, {":now": times.now(), ":run": deletion.run})


def finish(deletion: Deletion) -> None:
    """Record that all is done: the tombstone no longer names anybody, and expires once no late update can arrive."""
    expires = int((deletion.at + _REMEMBERED).timestamp())
    _update(
        deletion.key,
        "SET finished_at = :now, expires_at = :expires"
        " REMOVE chat, person, thread_id, #language, photos, holder, started_at",
        _RUNS,
        {":now": times.now(), ":expires": expires, ":run": deletion.run},
    )


def photos_of(deletion: Deletion) -> int:
    """Return how many photos were deleted, by this run and those that died."""
    item = predictions.find_item(deletion.key) or {}
    return int(item.get("photos", deletion.photos))


_RUNS = "holder = :run"


def go_on(deletion: Deletion, photos: int) -> None:
    """Count what was deleted, and say that the run goes on; raise TakenOver if it may not."""
    values = {":now": times.now(), ":photos": photos, ":run": deletion.run}
    if not _update(deletion.key, "SET started_at = :now ADD photos :photos", _RUNS, values):
        raise TakenOver(f"{deletion.key} belongs to another run")


def _tombstone(chat_id: int, user_id: int | None) -> dict[str, Any] | None:
    return next((predictions.find_item(each.key) for each in people(chat_id, user_id)), None)


def _read(item: Mapping[str, Any]) -> Deletion:
    return Deletion(
        key=item["prediction_id"],
        person=Person(int(item["chat"]), int(item["person"])),
        at=times.parse(item["created_at"]) or datetime.now(UTC),
        question=int(item["question"]),
        language=str(item.get("language", "")),
        photos=int(item.get("photos", 0)),
        again="delivered_at" in item,
        run=item["holder"],
        thread_id=int(item["thread_id"]) if "thread_id" in item else None,
    )


def _update(key: str, change: str, condition: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change a tombstone if the condition holds; return it, None if it doesn't."""
    # A word that DynamoDB keeps for itself.
    names = {"#language": "language"} if "#language" in change else {}
    reply = aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": key},
        UpdateExpression=change,
        ConditionExpression=condition,
        ExpressionAttributeValues=items.plain(values),
        **({"ExpressionAttributeNames": names} if names else {}),
        ReturnValues="ALL_NEW",
    )
    return None if reply is None else dict(reply["Attributes"])
