"""Send the answer of a finished prediction to its chat: once, by the holder of the lease.

The photos of an album are answered together (albums.py), as far as that is possible; the others alone.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from botsite import in_flight, language
from botsite.bot.answers import albums, answer
from botsite.bot.answers.attempts import Attempt, Result, answer_ms, insist
from botsite.bot.telegram import api, sending
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import replies
from botsite.threads import in_thread
from detection.record import deliveries, items, predictions, timeline, times
from detection.record.schemas import Delivery, Prediction

log = structlog.get_logger()

# An answer that fails for a reason of its own is tried again at once, twice, then after 30 s, 1 min, 2 min ... 1 h.
# After some five hours it is given up: Telegram is not down that long.
_QUICK_FAILURES = 2
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
_GIVE_UP_AFTER_FAILURES = 14
# No answer is tried for longer, for whatever reason it fails: Telegram itself drops updates after that time.
_GIVE_UP_AFTER = timedelta(hours=24)


async def deliver(prediction_id: str, *, at_once: bool = False) -> Attempt:
    """Send the answer unless it was sent. Raise TelegramError or botocore's errors if it has to be tried again.

    It continues when the caller is gone: Django cancels a view whose client hangs up, and an answer that was sent but
    not recorded would be sent again. `at_once`: an album whose photos are all finished is not kept open for more.
    """
    return await asyncio.shield(in_flight.start_answer(_deliver(prediction_id, at_once)))


async def _deliver(prediction_id: str, at_once: bool) -> Attempt:
    prediction, attempt = await _deliver_alone(prediction_id)
    if prediction is None or prediction.album_id is None or prediction.reopened_at or not prediction.finished:
        return attempt
    # What failed is answered by now, and may have been the last that the others waited for.
    with language.speaking(prediction.language):
        outcome = await albums.answer_for(prediction, at_once)
    attempts = {each: await _deliver_member(each) for each in outcome.alone}
    return attempts.get(prediction_id, outcome.attempt)


async def _deliver_member(prediction_id: str) -> Attempt:
    """Send the own answer of a photo that belongs to an album."""
    with structlog.contextvars.bound_contextvars(prediction_id=prediction_id):
        _, attempt = await _deliver_alone(prediction_id, of_album=True)
        return attempt


async def _deliver_alone(
    prediction_id: str, *, of_album: bool = False, follow: bool = True
) -> tuple[Prediction | None, Attempt]:
    """Send one photo's own answer; return the prediction, too. `of_album`: though it is a photo of an album."""
    send_before = time.monotonic() + deliveries.LEASE.total_seconds() - sending.LONGEST_SEND_SECONDS
    try:
        claimed = await in_thread(deliveries.claim)(prediction_id, of_album=of_album)
    except items.Incomplete as error:
        return None, await _apologise_for(prediction_id, error)
    prediction = claimed.prediction
    if prediction is None:
        return None, Attempt(Result.UNKNOWN)
    if not claimed.granted:
        return prediction, _refused(prediction)
    try:
        with language.speaking(prediction.language):
            message_id = await answer.send(prediction, send_before)
    except TelegramError as error:
        if error.migrated_to and follow:
            await _follow(prediction, error.migrated_to)
            return await _deliver_alone(prediction_id, of_album=of_album, follow=False)
        if error.permanent:
            return prediction, await _undeliverable(prediction, error)
        return prediction, await _later(prediction, error, own=error.answered and error.retry_after_seconds is None)
    except (ClientError, BotoCoreError) as error:
        # The boxed photo could not be fetched: nothing was sent.
        return prediction, await _later(prediction, error, own=False)
    except Exception as error:  # noqa: BLE001 - a defect: raised again, or logged when the answer is given up.
        return prediction, await _later(prediction, error, own=True)
    await insist(deliveries.finish, prediction, Delivery.DELIVERED, message_id)
    log.info("answer_delivered", chat_id=prediction.chat_id, status=prediction.status, answer_ms=answer_ms(prediction))
    return prediction, Attempt(Result.SETTLED)


async def _follow(prediction: Prediction, new_chat_id: int) -> None:
    """Redirect a group's outstanding answers to the supergroup that it has become."""
    await albums.migrate(prediction.chat_id, new_chat_id)
    await insist(deliveries.release, prediction)


async def _undeliverable(prediction: Prediction, error: TelegramError) -> Attempt:
    await insist(deliveries.finish, prediction, Delivery.UNDELIVERABLE)
    log.warning("answer_undeliverable", chat_id=prediction.chat_id, error=str(error))
    if error.blocked and not prediction.guest_query_id:
        await in_thread(deliveries.close_chat)(prediction.chat_id)
    return Attempt(Result.SETTLED)


async def _later(prediction: Prediction, error: Exception, *, own: bool) -> Attempt:
    """Give the lease back and raise the error, so that the answer is tried again; or give up one tried for too long.

    `own`: the failure concerns this answer alone, so it waits longer each time while others go on.
    """
    if _hopeless(prediction):
        await insist(deliveries.finish, prediction, Delivery.UNDELIVERABLE)
        log.error("answer_given_up", chat_id=prediction.chat_id, error=str(error), exc_info=error)
        return Attempt(Result.SETTLED)
    if own:
        await insist(deliveries.postpone, prediction, _wait(prediction.delivery_failures + 1))
    else:
        await insist(deliveries.release, prediction)
    raise error


def _hopeless(prediction: Prediction) -> bool:
    since = times.latest(prediction.finished_at, prediction.reopened_at)
    return prediction.delivery_failures + 1 >= _GIVE_UP_AFTER_FAILURES or since < times.now(-_GIVE_UP_AFTER)


def _wait(failures: int) -> timedelta:
    """Return how long an answer waits after that many failures of its own."""
    if failures <= _QUICK_FAILURES:
        return timedelta()
    return min(_FIRST_WAIT * 2 ** (failures - _QUICK_FAILURES - 1), _LONGEST_WAIT)


async def _apologise_for(prediction_id: str, error: items.Incomplete) -> Attempt:
    """Tell the sender, if the item still names one, that the result cannot be read."""
    item = await in_thread(predictions.find_item)(prediction_id) or {}
    log.error("answer_given_up", prediction_id=prediction_id, error=str(error))
    await insist(deliveries.abandon, prediction_id)
    chat_id, message_id = _number(item.get("chat_id")), _number(item.get("message_id"))
    if chat_id is not None:
        try:
            thread_id = _number(item.get("thread_id"))
            with language.speaking(_text(item.get("language"))):
                await api.send_text(chat_id, replies.gave_up(), message_id, thread_id=thread_id)
        except TelegramError as unsent:
            log.warning("answer_undeliverable", chat_id=chat_id, error=str(unsent))
    return Attempt(Result.SETTLED)


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, ArithmeticError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _refused(prediction: Prediction) -> Attempt:
    if prediction.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERABLE):
        return Attempt(Result.SETTLED)
    if not prediction.finished:
        return Attempt(Result.NOT_FINISHED)
    milliseconds = timeline.between_ms(times.now(), prediction.delivery_until)
    return Attempt(Result.SOMEBODY_ELSE, max(0, milliseconds or 0) / 1000)
