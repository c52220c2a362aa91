"""Keep albums: which photos belong together, and whether their one answer is sent.

Each album is one item next to its predictions, under a key of its own. It has none of the attributes that the indexes
sort by, so no list of jobs holds it. Every change is a conditional write, as with predictions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from django.conf import settings

from botsite import aws
from detection.record import items, queries, times
from detection.record.deliveries import LEASE
from detection.record.schemas import Options, Prediction

log = structlog.get_logger()

KEY = "album#{}"
# Telegram's own limit.
PHOTOS_AT_MOST = 10
# Telegram sends the photos of an album one after the other, and does not say which is the last. After this time
# without another one, the album counts as complete.
QUIET = timedelta(seconds=3)
# If none of the missing photos gets finished for this long, the others are answered without them.
PATIENCE = timedelta(minutes=2)
# Those who ask whether the missing photos are finished come back after this time; the last photo's worker asks, too.
ASK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Member:
    """A photo of an album, whether or not it has been stored."""

    message_id: int
    prediction_id: str


@dataclass(frozen=True, slots=True)
class Album:
    """An album as it is stored; the members are in the order of their messages.

    Once `closed_at` is set, it is settled which photos get the one answer: those `together`. The others, and those that
    come later, are answered alone; so are all if the answer was taken `apart`.
    """

    album_id: str
    members: tuple[Member, ...]
    joined_at: datetime
    # What the first caption that asks for something asks for: it counts for all photos without such a caption.
    options: Options | None = None
    status_message_id: int | None = None
    closed_at: datetime | None = None
    together: frozenset[str] = frozenset()
    apart: bool = False
    lease: str | None = None
    lease_until: datetime | None = None
    failures: int = 0
    sent_at: datetime | None = None

    def has(self, prediction_id: str) -> bool:
        """Return whether this photo is in the album."""
        return any(member.prediction_id == prediction_id for member in self.members)

    def numbers(self) -> dict[str, int]:
        """Return the photos' numbers as their sender counts them, by id."""
        return {member.prediction_id: number for number, member in enumerate(self.members, 1)}


def join(album_id: str, photo: Member, options: Options | None) -> Album | None:
    """Add a photo, and what its caption asks for if it is the first that asks; return the album.

    Nothing changes if the photo is in it already, if the album is closed, or full. None if its item cannot be read.
    """
    change = "ADD photos :photo SET joined_at = :now, expires_at = :expires"
    values = {":photo": {_written(photo)}, ":one": _written(photo), ":most": PHOTOS_AT_MOST}
    if options is not None:
        change += ", options = if_not_exists(options, :options)"
        values[":options"] = items.options(options)
    expires = times.now(timedelta(days=settings.PREDICTIONS_KEPT_DAYS))
    return _update(
        album_id,
        change,
        "attribute_not_exists(closed_at) AND (attribute_not_exists(photos)"
        " OR (size(photos) < :most AND NOT contains(photos, :one)))",
        values | {":now": times.now(), ":expires": int(expires.timestamp())},
    ) or find(album_id)


def ask_again(album_id: str, options: Options) -> None:
    """Have the photos without a caption of their own looked at as an edited caption asks."""
    values = {":options": items.options(options)}
    _update(album_id, "SET options = :options", "attribute_exists(photos) AND attribute_not_exists(closed_at)", values)


def leave(album_id: str, photo: Member) -> None:
    """Take out a photo that is deleted: nobody has to wait for it. The last one takes the album with it."""
    left = _update(album_id, "DELETE photos :photo", "attribute_exists(photos)", {":photo": {_written(photo)}})
    if left and not left.members:
        _delete(album_id)


def find(album_id: str) -> Album | None:
    """Return the album as it is now (a consistent read), or None if it is missing or unreadable."""
    key = {"prediction_id": KEY.format(album_id)}
    item = aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=key, ConsistentRead=True).get("Item")
    return _read(item) if item else None


def photos(album: Album) -> dict[str, Prediction]:
    """Return the album's predictions by id, as they are now; those not stored, or unreadable, are missing."""
    return queries.known([member.prediction_id for member in album.members], consistent=True)


def wait(album: Album, found: Mapping[str, Prediction]) -> timedelta:
    """Return how long to wait before asking again whether the album can be answered; zero if it can be now."""
    now = times.now()
    finished = [prediction for prediction in found.values() if prediction.finished]
    sent = (prediction.enqueued_at for prediction in found.values())
    quiet = times.latest(album.joined_at, *sent) + QUIET - now
    if len(finished) == len(album.members):
        return max(quiet, timedelta())
    moved = times.latest(album.joined_at, *(prediction.finished_at for prediction in finished))
    return max(min(moved + PATIENCE - now, ASK_AGAIN), quiet, timedelta())


def acknowledge(album_id: str, prediction_id: str) -> bool:
    """Take the right to tell how the wait goes, which one photo gets; return whether this one did."""
    return bool(
        _update(
            album_id,
            "SET acknowledged_by = :me",
            "attribute_exists(photos) AND attribute_not_exists(closed_at)"
            " AND (attribute_not_exists(acknowledged_by) OR acknowledged_by = :me)",
            {":me": prediction_id},
        )
    )


def note_status_message(album_id: str, message_id: int) -> bool:
    """Record the message that tells how the wait goes; return False if there is another, or the wait is over."""
    return bool(
        _update(
            album_id,
            "SET status_message_id = :message",
            # botocore repeats a write whose reply was lost: that one finds its own message.
            "status_message_id = :message OR (attribute_exists(photos)"
            " AND attribute_not_exists(closed_at) AND attribute_not_exists(status_message_id))",
            {":message": message_id},
        )
    )


def forget_status_message(album_id: str) -> None:
    """Forget the status message, which stays behind when the chat moves."""
    _update(album_id, "REMOVE status_message_id", "status_message_id > :none", {":none": 0})


def close(album: Album, together: Collection[str]) -> Album | None:
    """Settle which photos get the one answer, and lease it for LEASE; None if the album has changed meanwhile."""
    return _update(
        album.album_id,
        "SET closed_at = :now, together = :together, lease = :lease, lease_until = :until",
        # botocore repeats a write whose reply was lost: that one finds the lease to be its own.
        "(attribute_not_exists(closed_at) AND size(photos) = :number) OR lease = :lease",
        {":now": times.now(), ":together": sorted(together), ":number": len(album.members), **_new_lease()},
    )


def take(album: Album) -> Album | None:
    """Lease the answer of a closed album for LEASE; None while another sender has it, and once it is sent."""
    return _update(
        album.album_id,
        "SET lease = :lease, lease_until = :until",
        "attribute_exists(closed_at) AND attribute_not_exists(sent_at)"
        " AND (attribute_not_exists(lease_until) OR lease_until < :now OR lease = :lease)",
        {":now": times.now(), **_new_lease()},
    )


def release(album: Album, failures: int = 0) -> None:
    """Return the lease: nothing was sent; `failures` are added to those that concern this answer alone."""
    _leased(album, "REMOVE lease_until ADD failures :failures", {":failures": failures})


def take_apart(album: Album) -> None:
    """Have each photo answered alone, because they cannot be answered together."""
    _leased(album, "SET apart = :yes REMOVE lease_until", {":yes": True})


def narrow(album: Album, together: Collection[str]) -> None:
    """Leave some photos to be answered alone."""
    _leased(album, "SET together = :together", {":together": sorted(together)})


def finish(album: Album) -> None:
    """Record that the answer is with Telegram, or never can be: it doesn't matter who has the lease by now."""
    _update(
        album.album_id,
        "SET sent_at = if_not_exists(sent_at, :now) REMOVE lease_until",
        "attribute_exists(closed_at)",
        {":now": times.now()},
    )


def _delete(album_id: str) -> None:
    """Delete an album, unless a photo has joined it meanwhile."""
    key = {"prediction_id": KEY.format(album_id)}
    aws.conditional(aws.dynamodb().delete_item, Key=key, ConditionExpression="attribute_not_exists(photos)")


def _leased(album: Album, change: str, values: Mapping[str, Any]) -> None:
    _update(album.album_id, change, "lease = :lease", {":lease": album.lease, **values})


def _new_lease() -> dict[str, Any]:
    return {":lease": uuid4().hex, ":until": times.now(LEASE)}


def _update(album_id: str, change: str, condition: str, values: Mapping[str, Any]) -> Album | None:
    """Change an album if the condition holds; return it as it is then, else None."""
    reply = aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": KEY.format(album_id)},
        UpdateExpression=change,
        ConditionExpression=condition,
        ExpressionAttributeValues=items.plain(values),
        ReturnValues="ALL_NEW",
    )
    return None if reply is None else _read(reply["Attributes"])


def _written(photo: Member) -> str:
    return f"{photo.message_id}:{photo.prediction_id}"


def _member(written: str) -> Member:
    message_id, _, prediction_id = written.partition(":")
    return Member(int(message_id), prediction_id)


def _read(item: Mapping[str, Any]) -> Album | None:
    """Return the album of an item; None, which is logged, if this service did not write it."""
    try:
        return Album(
            album_id=item["prediction_id"].partition("#")[2],
            members=tuple(sorted(map(_member, item.get("photos", ())), key=lambda each: each.message_id)),
            joined_at=times.read(item["joined_at"]),
            options=items.read_options(item["options"]) if "options" in item else None,
            status_message_id=int(item["status_message_id"]) if "status_message_id" in item else None,
            closed_at=times.parse(item.get("closed_at")),
            together=frozenset(item.get("together", ())),
            apart=bool(item.get("apart", False)),
            lease=item.get("lease"),
            lease_until=times.parse(item.get("lease_until")),
            failures=int(item.get("failures", 0)),
            sent_at=times.parse(item.get("sent_at")),
        )
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        log.error("album_unreadable", album=item.get("prediction_id"), error=repr(error))
        return None
