"""Refuse photos over a limit and from people who may not send any, and tell their senders.

What is kept out costs no download, no S3 and no SQS. A photo over a limit has its item, `failed` with the sentence
that says when it goes on. A flood of photos must not become a flood of messages: the first of a minute gets a reply,
once the others have come, which counts them and is their answer, too. Of people who may not send photos nothing is
kept: in a private chat they are told, once a minute; in a group, nobody is bothered.
"""

import time
from dataclasses import dataclass, replace

import structlog
from django.conf import settings

from botsite import rate_limit
from botsite.bot.incoming import limits
from botsite.bot.incoming.limits import Reached, Span
from botsite.bot.incoming.updates import Correction, Guest, Photo, Press
from botsite.bot.telegram import clock
from botsite.bot.words import replies
from botsite.threads import in_thread
from detection.record import times
from detection.record.reasons import Reason
from detection.record.schemas import Delivery, Prediction
from detection.record.sentences import Code

log = structlog.get_logger()

_NOTICE_SECONDS = 60.0
# What is told of besides limits: that somebody may send nothing.
_LIST = "list"


@dataclass(frozen=True, slots=True)
class KeptOut:
    """The limit that keeps a photo out; `told` if the reply to an earlier one says so."""

    reached: Reached
    told: bool

    @property
    def reason(self) -> Reason:
        """Return what its sender is told as long as the photos that come with it aren't counted."""
        return reason(self.reached)

    def item_of(self, prediction: Prediction) -> Prediction:
        """Return the prediction as it is stored: answered already, if somebody was told."""
        return replace(prediction, delivery=Delivery.DELIVERED, delivered_at=times.now()) if self.told else prediction


async def over_limit(photo: Photo, prediction_id: str) -> KeptOut | None:
    """Count a photo; return why it is kept out, if it is. Raise limits.Busy or botocore's errors."""
    reached = await _take(photo, prediction_id)
    if reached is None:
        return None
    # Once for a minute that is counted, whenever it began.
    return KeptOut(reached, told=not await _may_tell(photo.chat_id, reached.span, reached.since))


async def counted(photo: Photo, kept_out: KeptOut) -> Reason:
    """Return the reason with how many photos were taken and how many weren't, now that all have come."""
    if kept_out.reached.span is Span.DAY:
        return kept_out.reason
    count = await in_thread(limits.counted)(limits.person_of(photo))
    seconds = max(2, round((kept_out.reached.until - times.now()).total_seconds()))
    values = {"taken": count.in_minute, "sent": count.in_minute + count.kept_out, "most": kept_out.reached.most}
    return Reason(Code.TOO_MANY, {name: str(value) for name, value in (values | {"seconds": seconds}).items()})


async def over_guests_limit(guest: Guest, prediction_id: str) -> Reason | None:
    """Count a photo that a guest is asked about; return why it is kept out, if it is. Raise the same.

    Each call gets its one answer, and no item: nothing but that answer would ever be sent.
    """
    reached = await _take(guest, prediction_id)
    return reason(reached) if reached else None


async def _take(asked: Photo | Guest, prediction_id: str) -> Reached | None:
    person = limits.person_of(asked)
    reached = await in_thread(limits.take)(person, prediction_id)
    if reached:
        log.info("photo_limited", chat_id=asked.chat_id, sender_id=person, limit=f"{reached.most} a {reached.span}")
    return reached


async def unwelcome(photo: Photo) -> str | None:
    """Return what to tell the sender of a photo who may not send any: nothing if they were told; None for others."""
    if welcome(of_sender(photo)):
        return None
    person = limits.person_of(photo)
    log.info("photo_not_allowed", chat_id=photo.chat_id, sender_id=person)
    tell = not photo.in_group and await _may_tell(photo.chat_id, _LIST)
    return replies.not_allowed(person) if tell else ""


def reason(reached: Reached) -> Reason:
    """Return which limit a person has reached, and when it goes on."""
    code = Code.LIMIT_DAY if reached.span is Span.DAY else Code.LIMIT_MINUTE
    return Reason(code, {"most": str(reached.most), "time": clock.written(reached.until).removesuffix(" UTC")})


async def _may_tell(chat_id: int, what: str, since: float | None = None) -> bool:
    """Return whether to tell a chat of a limit: if that wasn't done since then, by default for a minute."""
    since = time.time() - _NOTICE_SECONDS if since is None else since
    return await in_thread(rate_limit.first_since)(_notice(chat_id, what), since)


def notices(chat_id: int) -> list[rate_limit.Limit]:
    """Return all that limits how often a chat is told of limits."""
    return [_notice(chat_id, what) for what in (*Span, _LIST)]


def _notice(chat_id: int, what: str) -> rate_limit.Limit:
    return rate_limit.Limit(f"limit#{what}#{chat_id}", 0.0, 1)


def of_sender(asked: Photo | Correction | Guest) -> frozenset[str]:
    """Return what a list may call the sender: a user or a channel, or the chat it comes from."""
    return _called(asked.sender_name, asked.chat_id, asked.sender_id, asked.sender_chat)


def of_press(press: Press) -> frozenset[str]:
    """Return what a list may call somebody who presses a button."""
    return _called(press.presser_name, press.chat_id, press.pressed_by)


def welcome(called: frozenset[str]) -> bool:
    """Return whether somebody may use the bot: nobody who is denied, and if anybody is allowed, only they."""
    if called & settings.DENIED_USERS:
        return False
    return not settings.ALLOWED_USERS or bool(called & settings.ALLOWED_USERS)


def _called(name: str, *numbers: int | None) -> frozenset[str]:
    return frozenset(filter(None, (name, *(str(number) for number in numbers if number is not None))))
