"""Lease the right to send an answer to one sender at a time, and record what became of the answer."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from detection.record import predictions, queries, reasons, times
from detection.record.predictions import Outcome
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code

# The longest that one send to Telegram may take (botsite/bot/telegram/api.py), and some seconds more.
LEASE = timedelta(seconds=90)
# A chat gets one answer a second, so no more than this are under way.
_CHAT_AT_MOST = 100


def claim(prediction_id: str, *, of_album: bool = False) -> Outcome:
    """Lease an answer for LEASE; refused while another sender has it, or before it is due.

    Refused, too, for a photo that is answered together with others (Prediction.with_album), unless `of_album`.
    Raise items.Incomplete, with the lease taken, if the item cannot be read.
    """
    alone, cancelled = ("", {}) if of_album else (f" AND {_ALONE}", _CANCELLED)
    return predictions.update(
        prediction_id,
        _CLAIM,
        f"{_FREE}{alone}",
        _claim_values(uuid4().hex, times.now(LEASE)) | cancelled,
    )


def claim_together(prediction_id: str, lease: str, until: datetime) -> Outcome:
    """Lease an answer for the holder of its album's lease, for as long as that; refused while another sender has it."""
    return predictions.update(prediction_id, _CLAIM, _FREE, _claim_values(lease, until))


_CLAIM = "SET delivery = :delivering, delivery_until = :until, delivery_lease = :lease"
# botocore repeats a write whose reply was lost: that one finds the lease to be its own.
_FREE = (
    "#status IN (:succeeded, :failed) AND delivery IN (:pending, :delivering)"
    " AND (attribute_not_exists(delivery_until) OR delivery_until < :now OR delivery_lease = :lease)"
)
_WORDS = {f":words{number}": words for number, words in enumerate(reasons.wordings(Code.CANCELLED))}
_CANCELLED = {":cancelled": Code.CANCELLED.name} | _WORDS
# The opposite of Prediction.with_album. What an earlier release cancelled has the sentence alone.
_ALONE = (
    "(attribute_not_exists(album_id) OR attribute_exists(reopened_at) OR (#status = :failed"
    f" AND NOT (reason.code = :cancelled OR #error IN ({', '.join(_WORDS)}))))"
)


def _claim_values(lease: str, until: datetime) -> dict[str, Any]:
    return {
        ":lease": lease,
        ":until": until,
        ":now": times.now(),
        ":delivering": Delivery.DELIVERING,
        ":pending": Delivery.PENDING,
        ":succeeded": Status.SUCCEEDED,
        ":failed": Status.FAILED,
    }


def release(leased: Prediction) -> Outcome:
    """Return the lease: nothing was sent. Refused if it ran out and another sender has it."""
    return predictions.update(
        leased.prediction_id,
        "SET delivery = :pending REMOVE delivery_until",
        _LEASED,
        {":pending": Delivery.PENDING, **_leased_values(leased)},
    )


def postpone(leased: Prediction, wait: timedelta) -> Outcome:
    """Return the lease after a failure that concerns this answer alone; nobody gets it before `wait` is over."""
    return predictions.update(
        leased.prediction_id,
        "SET delivery = :pending, delivery_until = :later ADD delivery_failures :one",
        _LEASED,
        {":pending": Delivery.PENDING, ":later": times.now(wait), ":one": 1, **_leased_values(leased)},
    )


_LEASED = "delivery = :delivering AND delivery_lease = :lease"


def _leased_values(leased: Prediction) -> dict[str, Any]:
    return {":delivering": Delivery.DELIVERING, ":lease": leased.delivery_lease}


def finish(leased: Prediction, delivery: Delivery, message_id: int | None = None) -> Outcome:
    """Record that the answer is with Telegram, or never can be: as its delivery, or as that of a resent one.

    `message_id` is the message that can be drawn again.

    It does not matter who has the lease by now, but it has to be this answer: refused if the prediction was reopened
    since. Reopening takes the lease off the item, and work that is done again finishes at another time.
    """
    when = "resent_at" if leased.delivered_at else "delivered_at"
    where = {} if message_id is None else {":message": message_id}
    note = ", answer_message_id = :message" if where else ""
    return predictions.update(
        leased.prediction_id,
        f"SET delivery = :delivery, {when} = :now{note} REMOVE delivery_until",
        "delivery IN (:pending, :delivering) AND attribute_exists(delivery_lease) AND finished_at = :finished",
        {
            ":delivery": delivery,
            ":pending": Delivery.PENDING,
            ":delivering": Delivery.DELIVERING,
            ":finished": leased.finished_at,
            ":now": times.now(),
            **where,
        },
    )


def abandon(prediction_id: str) -> Outcome:
    """Record that an answer will never be sent because its item cannot be read."""
    return predictions.update(
        prediction_id,
        "SET delivery = :undeliverable REMOVE delivery_until",
        "delivery = :delivering",
        {":undeliverable": Delivery.UNDELIVERABLE, ":delivering": Delivery.DELIVERING},
    )


def reopen(prediction_id: str) -> Outcome:
    """Let an answer that was sent or given up be sent again; refused otherwise.

    When it was delivered stays on the item; that it was given up does not, so that the next time is its first delivery.
    """
    sent_before = _reopen(prediction_id, Delivery.DELIVERED, "")
    return sent_before if sent_before.granted else _reopen(prediction_id, Delivery.UNDELIVERABLE, "delivered_at, ")


def _reopen(prediction_id: str, delivery: Delivery, forget: str) -> Outcome:
    return predictions.update(
        prediction_id,
        "SET delivery = :pending, reopened_at = :now"
        f" REMOVE {forget}resent_at, delivery_until, delivery_lease, delivery_failures",
        "#status IN (:succeeded, :failed) AND delivery = :delivery",
        {
            ":pending": Delivery.PENDING,
            ":delivery": delivery,
            ":succeeded": Status.SUCCEEDED,
            ":failed": Status.FAILED,
            ":now": times.now(),
        },
    )


def being_sent(prediction: Prediction) -> bool:
    """Return whether its answer is leased to a sender at this moment."""
    return prediction.delivery is Delivery.DELIVERING and times.latest(prediction.delivery_until) >= times.now()


def close_chat(chat_id: int) -> None:
    """Give up all undelivered answers of a chat that is closed to the bot."""
    for prediction_id in queries.latest_of_chat(chat_id, limit=_CHAT_AT_MOST):
        claimed = claim(prediction_id, of_album=True)
        if claimed.granted and claimed.prediction:
            finish(claimed.prediction, Delivery.UNDELIVERABLE)


def migrate_chat(chat_id: int, new_chat_id: int) -> frozenset[str]:
    """Redirect what is not yet answered in a group to the supergroup that it has become; return the albums among it.

    It renumbers its messages: the status message's number would be somebody else's.
    """
    albums = set()
    for prediction_id in queries.latest_of_chat(chat_id, limit=_CHAT_AT_MOST):
        outcome = predictions.update(
            prediction_id,
            "SET chat_id = :new REMOVE status_message_id",
            "chat_id = :old AND delivery IN (:pending, :delivering)",
            {
                ":new": new_chat_id,
                ":old": chat_id,
                ":pending": Delivery.PENDING,
                ":delivering": Delivery.DELIVERING,
            },
        )
        if outcome.granted and outcome.prediction and outcome.prediction.album_id:
            albums.add(outcome.prediction.album_id)
    return frozenset(albums)
