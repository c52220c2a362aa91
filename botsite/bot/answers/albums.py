"""Answer an album: its boxed photos come back together, once, as a reply to the first of them.

Each worker that has finished a photo asks for the answer. It is sent when all photos are finished and no other has come
for a moment (detection/record/albums.py); then it is settled which of them are in it. What failed, or is of another
form than most, is answered alone, and so is each photo if Telegram does not take them together.
"""

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite.bot.answers import album_menu, answer
from botsite.bot.answers.answer import Part
from botsite.bot.answers.attempts import Attempt, Result, answer_ms, insist
from botsite.bot.incoming.updates import Photo
from botsite.bot.telegram import api, edits, sending
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Picture
from botsite.bot.words import found, replies
from botsite.threads import in_thread
from detection.record import albums, deliveries, items, times
from detection.record.albums import Album, Member
from detection.record.schemas import Delivery, Form, Options, Prediction

log = structlog.get_logger()

# An answer that Telegram refuses without saying why is taken apart at the second time: one of its photos may be the
# reason. And after a day, when each of them is given up.
_TRIES_TOGETHER = 2
_TOGETHER_FOR = timedelta(hours=24)
# Telegram takes requests of up to 50 MB, and a site holds them two or three times.
_TOGETHER_BYTES = 40_000_000
_SETTLED = Attempt(Result.SETTLED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an album's answer, and the ids of photos that are to be answered alone now."""

    attempt: Attempt = _SETTLED
    alone: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Sent:
    """What has to be answered alone, and the messages of the others, by their photos' ids."""

    left_out: Sequence[Prediction] = ()
    places: Mapping[str, int] = field(default_factory=dict)


async def join(bot_id: int, photo: Photo, prediction_id: str, asked: Options | None) -> Album | None:
    """Note that a photo belongs to its album, before anything else is known of it; return the album, if it has one."""
    if not photo.album:
        return None
    member = Member(photo.message_id, prediction_id)
    return await in_thread(albums.join)(album_id(bot_id, photo), member, asked)


def album_id(bot_id: int, photo: Photo) -> str:
    """Return the id of a photo's album: 32 hexadecimal digits, which nobody can guess."""
    identity = f"album:{bot_id}:{photo.chat_id}:{photo.album}"
    return hmac.new(settings.PREDICTION_ID_KEY.encode(), identity.encode(), hashlib.sha256).hexdigest()[:32]


async def answer_for(asking: Prediction, at_once: bool = False) -> Outcome:
    """Send the answer to the album of a finished photo, if it is time, unless it was sent.

    Raise TelegramError or botocore's errors if it has to be tried again.
    """
    assert asking.album_id
    album = await in_thread(albums.find)(asking.album_id)
    if album is None or not album.has(asking.prediction_id):
        # Expired, left behind by an operator's restore, or full or answered when this photo came.
        return Outcome(alone=[asking.prediction_id])
    if not album.closed_at:
        return await _close(album, asking, at_once)
    if album.apart:
        return Outcome(alone=[member.prediction_id for member in album.members])
    if asking.prediction_id not in album.together:
        return Outcome(alone=[asking.prediction_id])
    if album.sent_at:
        # Its sender ended before it could write down that this photo is answered.
        await _record(await _claimed(album, [asking.prediction_id]), Delivery.DELIVERED)
        return Outcome()
    before = _send_before()
    leased = await in_thread(albums.take)(album)
    if leased is None:
        left = (times.latest(album.lease_until) - times.now()).total_seconds()
        return Outcome(Attempt(Result.SOMEBODY_ELSE, max(1.0, left)))
    return await _send(leased, asking, before)


async def migrate(chat_id: int, new_chat_id: int) -> None:
    """Redirect a group's outstanding answers to the supergroup that it has become."""
    for moved in await in_thread(deliveries.migrate_chat)(chat_id, new_chat_id):
        await in_thread(albums.forget_status_message)(moved)
    log.info("chat_migrated", chat_id=chat_id, new_chat_id=new_chat_id)


async def _close(album: Album, asking: Prediction, at_once: bool) -> Outcome:
    """Settle what the answer holds and send it, if it is time."""
    found = await in_thread(albums.photos)(album)
    complete = len(found) == len(album.members) and all(each.finished for each in found.values())
    seconds = 0.0 if at_once and complete else albums.wait(album, found).total_seconds()
    if seconds > 0:
        return Outcome(Attempt(Result.ALBUM_WAITS, seconds))
    open_ = [each for each in found.values() if each.finished and not each.delivered]
    together = [each.prediction_id for each in open_ if each.with_album and answer.goes_together(each)]
    before = _send_before()
    closed = await in_thread(albums.close)(album, together)
    if closed is None:
        # Another photo has joined at this moment, or another sender was faster.
        return Outcome(Attempt(Result.ALBUM_WAITS, 1.0))
    log.info("album_closed", photos=len(album.members), together=len(together))
    alone = [each.prediction_id for each in open_ if each.prediction_id not in together]
    sent = await _send(closed, asking, before)
    return Outcome(sent.attempt, [*sent.alone, *alone])


async def _send(album: Album, asking: Prediction, before: float, follow: bool = True) -> Outcome:
    """Send what belongs together, by the holder of the album's lease."""
    claimed = await _claimed(album, album.together)
    try:
        sent = await _send_together(album, claimed, asking.chat_id, before)
    except TelegramError as error:
        if error.migrated_to and follow and claimed:
            await migrate(claimed[0].chat_id, error.migrated_to)
            return await _send(replace(album, status_message_id=None), asking, before, follow=False)
        if error.blocked or error.migrated_to or error.topic_closed:
            return await _undeliverable(album, claimed, error)
        if error.permanent:
            return await _take_apart(album, claimed, error)
        return await _later(album, claimed, error, own=error.answered and error.retry_after_seconds is None)
    except (ClientError, BotoCoreError) as error:
        # A boxed photo could not be fetched: nothing was sent.
        return await _later(album, claimed, error, own=False)
    except Exception as error:  # noqa: BLE001 - a defect: raised again, or met again where it can be given up.
        return await _later(album, claimed, error, own=True)
    await insist(albums.finish, album)
    alone = [each.prediction_id for each in sent.left_out]
    done = [each for each in claimed if each.prediction_id not in alone]
    await _record(done, Delivery.DELIVERED, sent.places)
    await _give_back(sent.left_out)
    if len(sent.places) > 1:
        album_menu.offer(album, [each for each in done if each.prediction_id in sent.places], sent.places)
    return Outcome(alone=alone)


async def _send_together(album: Album, claimed: Sequence[Prediction], chat_id: int, before: float) -> _Sent:
    """Send the answer in place of the word on the wait."""
    photos = [each for each in claimed if not each.cancelled]
    async with answer.FILES if any(each.as_file for each in photos) else nullcontext():
        pictures = await _pictures(photos)
        shown = [each for each in photos if each.prediction_id in pictures]
        left_out = [each for each in photos if each.prediction_id not in pictures]
        if left_out:
            # Now, because a sender that ends after sending must not leave them answered by an album without them.
            await in_thread(albums.narrow)(album, album.together - {each.prediction_id for each in left_out})
        if claimed and not photos:
            await _say_cancelled(album, claimed[0], before)
        elif album.status_message_id:
            await edits.delete(claimed[0].chat_id if claimed else chat_id, album.status_message_id)
        if len(shown) > 1:
            return _Sent(left_out, await _send_pictures(album, shown, pictures, before))
    if len(shown) == 1 and (place := await answer.send(shown[0], before)):
        return _Sent(left_out, {shown[0].prediction_id: place})
    return _Sent(left_out)


async def _send_pictures(
    album: Album, shown: Sequence[Prediction], pictures: Mapping[str, Part], before: float
) -> dict[str, int]:
    """Send the pictures, then what is cut out of them; return the message of each photo, by its id."""
    first, numbers = shown[0], album.numbers()
    own = [_picture(each, pictures[each.prediction_id], numbers[each.prediction_id]) for each in shown]
    form = pictures[first.prediction_id].form
    sent = await api.send_album(
        first.chat_id,
        [*own, *(await _crops(shown) if form == "photo" else ())],
        caption=found.of_album(shown, [numbers[each.prediction_id] for each in shown]),
        form=form,
        reply_to=first.message_id,
        thread_id=first.thread_id,
        before=before,
    )
    log.info("album_sent", chat_id=first.chat_id, photos=len(shown))
    return {each.prediction_id: message.message_id for each, message in zip(shown, sent, strict=False)}


def _picture(prediction: Prediction, part: Part, number: int) -> Picture:
    name = f"detections-{number}.{part.ending}" if part.form == "document" else ""
    return Picture(part.image, prediction.spoiler, name)


async def _crops(shown: Sequence[Prediction]) -> list[Picture]:
    """Return what is cut out of the photos whose captions ask for that: by turns, as far as the album has room."""
    asking = [each for each in shown if each.options.form is Form.CROPS]
    room, shares = api.ALBUM_AT_MOST - len(shown), dict.fromkeys((each.prediction_id for each in asking), 0)
    for turn in range(room):
        for each in asking:
            if sum(shares.values()) < room and turn < len(each.detections):
                shares[each.prediction_id] += 1
    cut = [(each, await answer.crops_of(each, shares[each.prediction_id])) for each in asking]
    return [Picture(crop, each.spoiler) for each, crops in cut for crop in crops]


async def _pictures(photos: Sequence[Prediction]) -> dict[str, Part]:
    """Return, by id and in order, the pictures that can be sent together: of the form most have, as far as they fit."""
    parts: dict[str, Part] = {}
    room = _TOGETHER_BYTES
    for each in photos:
        part = await answer.part(each)
        if part and len(part.image) <= room:
            parts[each.prediction_id] = part
            room -= len(part.image)
    forms = Counter(part.form for part in parts.values()).most_common(1)
    return {identity: part for identity, part in parts.items() if part.form == forms[0][0]}


async def _say_cancelled(album: Album, first: Prediction, before: float) -> None:
    """Say once that all photos are cancelled: in place of the word on the wait, or as a reply if that is gone."""
    text = replies.failure(first.reason)
    try:
        if album.status_message_id:
            await edits.turn_into_text(first.chat_id, album.status_message_id, text, before=before)
            return
    except TelegramError as error:
        if not answer.about_content(error):
            raise
        log.info("status_not_edited", error=str(error))
    await api.send_text(first.chat_id, text, first.message_id, thread_id=first.thread_id, before=before)


async def _claimed(album: Album, prediction_ids: Sequence[str] | frozenset[str]) -> list[Prediction]:
    """Lease the photos' own answers; return those that are not answered yet, in the order of their messages."""
    lease, until = album.lease or "", times.latest(album.lease_until, times.now())
    claims = await asyncio.gather(*(_claim(each, lease, until) for each in prediction_ids))
    return sorted(filter(None, claims), key=lambda each: each.message_id)


async def _claim(prediction_id: str, lease: str, until: datetime) -> Prediction | None:
    try:
        claimed = await in_thread(deliveries.claim_together)(prediction_id, lease, until)
    except items.Incomplete as error:
        # The sweep asks for this one, and then its sender gets an apology.
        log.error("item_incomplete", prediction_id=prediction_id, error=str(error))
        return None
    return claimed.prediction if claimed.granted else None


async def _record(claimed: Sequence[Prediction], delivery: Delivery, places: Mapping[str, int] | None = None) -> None:
    for each in claimed:
        await insist(deliveries.finish, each, delivery, (places or {}).get(each.prediction_id))
        with structlog.contextvars.bound_contextvars(prediction_id=each.prediction_id):
            if delivery is Delivery.DELIVERED:
                log.info("answer_delivered", chat_id=each.chat_id, status=each.status, answer_ms=answer_ms(each))


async def _give_back(claimed: Sequence[Prediction]) -> None:
    for each in claimed:
        await insist(deliveries.release, each)


async def _undeliverable(album: Album, claimed: Sequence[Prediction], error: TelegramError) -> Outcome:
    await insist(albums.finish, album)
    await _record(claimed, Delivery.UNDELIVERABLE)
    for chat_id in {each.chat_id for each in claimed}:
        log.warning("answer_undeliverable", chat_id=chat_id, error=str(error), photos=len(claimed))
        if error.blocked:
            await in_thread(deliveries.close_chat)(chat_id)
    return Outcome()


async def _take_apart(album: Album, claimed: Sequence[Prediction], error: Exception) -> Outcome:
    """Have each photo answered alone."""
    log.warning("album_taken_apart", error=str(error))
    await insist(albums.take_apart, album)
    await _give_back(claimed)
    return Outcome(alone=[each.prediction_id for each in claimed])


async def _later(album: Album, claimed: Sequence[Prediction], error: Exception, *, own: bool) -> Outcome:
    """Give the leases back and raise the error, so that the answer is tried again; or take it apart.

    `own`: the failure concerns this answer alone.
    """
    old = times.latest(album.closed_at) < times.now(-_TOGETHER_FOR)
    if old or (own and album.failures + 1 >= _TRIES_TOGETHER):
        return await _take_apart(album, claimed, error)
    await _give_back(claimed)
    await insist(albums.release, album, int(own))
    raise error


def _send_before() -> float:
    """Return until when a lease that is taken now covers the longest send (monotonic seconds)."""
    return time.monotonic() + deliveries.LEASE.total_seconds() - sending.LONGEST_SEND_SECONDS
