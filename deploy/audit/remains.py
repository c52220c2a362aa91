"""Look for what should be gone: of photos that were deleted, of deletions, and among the dead letters."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from botsite import aws
from deploy.audit import table
from deploy.audit.photos import Found
from detection.record import deletions, feedback, queries, times
from detection.record.schemas import Status
from detection.work import dead_letters

_FOLDERS = ("photos/", "results/")
# What the items of photos are told apart by, once somebody has had their data deleted.
_OWNERS = ("created_at", "chat_id", "sender_id", "author_id")


def leftovers(found: Found) -> None:
    """Note images and complaints without an item: of a photo that was deleted, or that was stored and never known."""
    stored = {_photo(key): key for key, at in _images() if found.since <= at < found.settled}
    complaints = queries.between(found.since, found.settled, feedback.KIND)
    stored |= {_photo(each["prediction_id"]): each["prediction_id"] for each in complaints}
    unknown = stored.keys() - found.photos.keys()
    for identity in sorted(unknown - table.find_there(list(unknown))):
        found.broken(identity, "left behind", f"{stored[identity]} has no item")


def _photo(key: str) -> str:
    """Return the photo that "results/ID.copy.jpg" or "feedback#ID" belongs to."""
    return key.replace("#", "/").partition("/")[2].partition(".")[0]


def deletions_of(found: Found) -> dict[str, datetime]:
    """Return when the deletions began that should be over, by their keys; note those that aren't."""
    begun: dict[str, datetime] = {}
    for deletion in queries.between(times.NEVER, found.until, deletions.KIND):
        key, at = deletion["prediction_id"], times.read(deletion["created_at"])
        if not found.late(at):
            continue
        begun[key] = at
        if "finished_at" not in deletion:
            found.broken(key, "deletion", f"began at {times.text(at)}, and goes on")
    return begun


def kept(found: Found, begun: Mapping[str, datetime], secret: str) -> None:
    """Note photos that are still there although whose they are had them deleted; `secret` makes the deletions' keys."""
    newest = times.text(max(begun.values(), default=times.NEVER))
    for photo in table.read_items([each for each, at in found.photos.items() if at <= newest], *_OWNERS):
        created = times.latest(times.parse(photo.get("created_at")))
        for at in (begun.get(person.key_by(secret), times.NEVER) for person in _owners(photo)):
            if created <= at:
                found.broken(photo["prediction_id"], "kept", f"whose it is had it deleted at {times.text(at)}")


def _owners(photo: Mapping[str, Any]) -> list[deletions.Person]:
    numbers = [None if name not in photo else int(photo[name]) for name in _OWNERS[1:]]
    return deletions.people(numbers[0] or 0, *numbers[1:])


def unburied(found: Found) -> None:
    """Note dead letters whose senders were not told in an hour."""
    with closing(dead_letters.read()) as letters:
        sent = {each.prediction_id: each.sent_at / 1000 for each in letters if each.prediction_id}
    old = [each for each, at in sent.items() if found.late(datetime.fromtimestamp(at, UTC))]
    for item in table.read_items(old, "status"):
        if item.get("status") in (Status.QUEUED, Status.PROCESSING):
            found.broken(item["prediction_id"], "dead letter", f"given up by SQS, and still {item['status']}")


def _images() -> Iterator[tuple[str, datetime]]:
    pages = aws.client("s3").get_paginator("list_objects_v2")
    for folder in _FOLDERS:
        for page in pages.paginate(Bucket=settings.IMAGES_BUCKET, Prefix=folder):
            yield from ((each["Key"], each["LastModified"]) for each in page.get("Contents", ()))
