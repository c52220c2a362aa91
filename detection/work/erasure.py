"""Delete all that is kept of a person in a chat, as far as a tombstone has it (detection/record/deletions.py).

The dead letters are deleted the second time only: by then, no worker hides a job of a photo that is gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any

import structlog
from django.conf import settings

from botsite import aws
from detection.record import albums, authors, deletions, feedback, images, items, predictions
from detection.record.deletions import Deletion, Person
from detection.record.schemas import Delivery
from detection.work import dead_letters
from detection.work.dead_letters import DeadLetter

log = structlog.get_logger()

_PAGE = 100
_READ_TRIES = 5
# All items of a person or a chat that are no photos, by their keys. What else is stored of somebody belongs here.
_SETTINGS, _PAUSE = "settings#{user}", "pause#chat#{chat}"


@dataclass(frozen=True, slots=True)
class Status:
    """A status message whose answer will not come any more."""

    chat_id: int
    message_id: int


@dataclass(frozen=True, slots=True)
class Page:
    """The messages left to delete by a hundred photos; delete those in STORAGE_CHAT before asking for the next page."""

    statuses: Sequence[Status] = ()
    pictures: Sequence[int] = ()


def delete_all(deletion: Deletion) -> Iterator[Page]:
    """Delete what was stored before the deletion, a page at a time; yield the messages that are left without a photo.

    Raise TakenOver if another run has begun.
    """
    for ids in chain(_pages(deletion), _of_others(deletion)):
        stored = [item for item in _items(ids) if _is_of(deletion.person, item)]
        if pictures := [int(item["picture_message_id"]) for item in stored if _is_stored(item)]:
            # First: nothing else than these items knows of them.
            yield Page(pictures=pictures)
        waits = [int(item["status_message_id"]) for item in stored if _waits(item)] + _delete(stored)
        deletions.go_on(deletion, len(stored))
        yield Page([Status(deletion.person.chat_id, message_id) for message_id in waits])
    person = deletion.person
    if person.alone:
        _delete_settings(deletion)
        predictions.delete(_PAUSE.format(chat=person.chat_id))
    if deletion.again:
        _delete_letters(person.chat_id)


def _pages(deletion: Deletion) -> Iterator[list[str]]:
    """Yield the ids of the chat's photos that came before the deletion, oldest first."""
    pages = (
        aws.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=settings.PREDICTIONS_TABLE,
            IndexName="by_chat",
            KeyConditionExpression="chat_id = :chat AND created_at <= :at",
            ProjectionExpression="prediction_id",
            ExpressionAttributeValues=items.plain({":chat": deletion.person.chat_id, ":at": deletion.at}),
            PaginationConfig={"PageSize": _PAGE},
        )
    )
    for page in pages:
        if page["Items"]:
            yield [item["prediction_id"] for item in page["Items"]]


def _of_others(deletion: Deletion) -> Iterator[list[str]]:
    """Yield the ids of the person's photos that others asked about where the bot is a guest."""
    person = deletion.person
    return authors.pages(person.user_id, deletion.at, _PAGE) if person.alone else iter(())


def _items(ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the needed attributes of these items as they are now, even if they can't be read as predictions."""
    wanted: dict[str, Any] = {
        "Keys": [{"prediction_id": each} for each in ids],
        "ProjectionExpression": "prediction_id, chat_id, sender_id, author_id, album_id, delivery, status_message_id,"
        " guest_query_id, picture_message_id",
        "ConsistentRead": True,
    }
    left, found = {settings.PREDICTIONS_TABLE: wanted}, []
    for _ in range(_READ_TRIES):
        response = aws.dynamodb().batch_get_item(RequestItems=left)
        found += response["Responses"].get(settings.PREDICTIONS_TABLE, [])
        left = response.get("UnprocessedKeys") or {}
        if not left:
            return found
    raise TimeoutError(f"DynamoDB left items unread {_READ_TRIES} times")


def _is_of(person: Person, item: Mapping[str, Any]) -> bool:
    same_chat, is_author = item.get("chat_id") == person.chat_id, item.get("author_id") == person.user_id
    if person.alone:
        return same_chat or is_author
    return same_chat and (is_author or item.get("sender_id") == person.user_id)


def _waits(item: Mapping[str, Any]) -> bool:
    return "status_message_id" in item and item.get("delivery") in (Delivery.PENDING, Delivery.DELIVERING)


def _is_stored(item: Mapping[str, Any]) -> bool:
    """Return whether the boxed photo is in STORAGE_CHAT. Of others, an earlier release noted where /history sent it."""
    return settings.STORAGE_CHAT is not None and {"guest_query_id", "picture_message_id"} <= item.keys()


def _delete(stored: list[dict[str, Any]]) -> list[int]:
    """Delete pictures, items and pictures again: a worker may have stored one in between (operations.delete).

    Return the messages that tell how the wait for an album goes.
    """
    ids = [item["prediction_id"] for item in stored]
    images.delete_all([key for each in ids for key in images.keys_of(each)])
    for each in ids:
        predictions.delete(each)
        predictions.delete(feedback.key(each))
    for item in stored:
        if "author_id" in item:
            predictions.delete(authors.key(item["prediction_id"]))
    images.delete_all([key for each in ids for key in images.keys_of(each)])
    whole = {item["album_id"] for item in stored if item.get("album_id")}
    gone = [predictions.delete(albums.KEY.format(album)) for album in whole]
    return [int(item["status_message_id"]) for item in gone if "status_message_id" in item and "sent_at" not in item]


def _delete_settings(deletion: Deletion) -> None:
    """Delete what the person had chosen, unless they have chosen since."""
    aws.conditional(
        aws.dynamodb().delete_item,
        Key={"prediction_id": _SETTINGS.format(user=deletion.person.user_id)},
        ConditionExpression="attribute_not_exists(chosen_at) OR chosen_at <= :at",
        ExpressionAttributeValues=items.plain({":at": deletion.at}),
    )


def _delete_letters(chat_id: int) -> None:
    """Delete the chat's dead letters whose photos are gone."""
    try:
        for _ in range(_READ_TRIES):
            with closing(dead_letters.read(dead_letters.WAIT_SECONDS)) as letters:
                kept = sum(not _is_deleted(letter, chat_id) for letter in letters)
                if dead_letters.count() <= kept:
                    return
        log.warning("dead_letters_held")
    except dead_letters.NoDeadLetterQueue as error:
        log.warning("no_dead_letters", error=str(error))


def _is_deleted(letter: DeadLetter, chat_id: int) -> bool:
    """Delete a letter if it is one of the chat's whose photo is gone; return whether it was."""
    if letter.chat_id != chat_id or predictions.find_item(letter.prediction_id or ""):
        return False
    dead_letters.delete(letter)
    return True
