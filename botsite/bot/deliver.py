"""Send the answer of a finished prediction to its chat: once, by the holder of the lease."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from botsite import in_flight
from botsite.bot import answer, api, language, replies
from botsite.bot.errors import TelegramError
from detection import deliveries, items, predictions, timeline, times
from detection.predictions import Outcome
from detection.schemas import Delivery, Prediction

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)
# An outage of DynamoDB that lasts longer leaves the answer to the sweep, which sends it again.
_INSIST_SECONDS = 600.0
_INSIST_AGAIN_SECONDS = 0.5
# An answer that fails for a reason of its own is tried again at once, twice, then after 30 s, 1 min, 2 min ... 1 h.
# After some five hours it is given up: Telegram is not down that long.
_QUICK_FAILURES = 2
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
_GIVE_UP_AFTER_FAILURES = 14
# No answer is tried for longer, for whatever reason it fails: Telegram itself drops updates after that time.
_GIVE_UP_AFTER = timedelta(hours=24)


class Result(Enum):
    """What became of a delivery."""

    UNKNOWN = auto()
    NOT_FINISHED = auto()
    SOMEBODY_ELSE = auto()
    SETTLED = auto()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a delivery, and in how many seconds to ask again if another sender has it."""

    result: Result
    again_in_seconds: float | None = None


async def deliver(prediction_id: str) -> Attempt:
    """Send the answer unless it was sent. Raise TelegramError or botocore's errors if it has to be tried again.

    It continues when the caller is gone: Django cancels a view whose client hangs up, and an answer that was sent but
    not recorded would be sent again.
    """
    return await asyncio.shield(in_flight.start(_deliver(prediction_id)))


async def _deliver(prediction_id: str, follow: bool = True) -> Attempt:
    send_before = time.monotonic() + deliveries.LEASE.total_seconds() - api.LONGEST_SEND_SECONDS
    try:
        claimed = await _in_thread(deliveries.claim)(prediction_id)
    except items.Incomplete as error:
        return await _apologise_for(prediction_id, error)
    prediction = claimed.prediction
    if prediction is None:
        return Attempt(Result.UNKNOWN)
    if not claimed.granted:
        return _refused(prediction)
    try:
        with language.speaking(prediction.language):
            await answer.send(prediction, send_before)
    except TelegramError as error:
        if error.migrated_to and follow:
            await _follow(prediction, error.migrated_to)
            return await _deliver(prediction_id, follow=False)
        if error.permanent:
            return await _undeliverable(prediction, error)
        return await _later(prediction, error, own=error.answered and error.retry_after_seconds is None)
    except (ClientError, BotoCoreError) as error:
        # The boxed photo could not be fetched: nothing was sent.
        return await _later(prediction, error, own=False)
    except Exception as error:  # noqa: BLE001 - a defect: raised again, or logged when the answer is given up.
        return await _later(prediction, error, own=True)
    await _insist(deliveries.finish, prediction, Delivery.DELIVERED)
    log.info("answer_delivered", chat_id=prediction.chat_id, status=prediction.status, answer_ms=_answer_ms(prediction))
    return Attempt(Result.SETTLED)


async def _follow(prediction: Prediction, new_chat_id: int) -> None:
    """Redirect a group's outstanding answers to the supergroup that it has become."""
    await _in_thread(deliveries.migrate_chat)(prediction.chat_id, new_chat_id)
    await _insist(deliveries.release, prediction)
    log.info("chat_migrated", chat_id=prediction.chat_id, new_chat_id=new_chat_id)


async def _undeliverable(prediction: Prediction, error: TelegramError) -> Attempt:
    await _insist(deliveries.finish, prediction, Delivery.UNDELIVERABLE)
    log.warning("answer_undeliverable", chat_id=prediction.chat_id, error=str(error))
    if error.blocked:
        await _in_thread(deliveries.close_chat)(prediction.chat_id)
    return Attempt(Result.SETTLED)


async def _later(prediction: Prediction, error: Exception, *, own: bool) -> Attempt:
    """Give the lease back and raise the error, so that the answer is tried again; or give up one tried for too long.

    `own`: the failure concerns this answer alone, so it waits longer each time while others go on.
    """
    if _hopeless(prediction):
        await _insist(deliveries.finish, prediction, Delivery.UNDELIVERABLE)
        log.error("answer_given_up", chat_id=prediction.chat_id, error=str(error), exc_info=error)
        return Attempt(Result.SETTLED)
    if own:
        await _insist(deliveries.postpone, prediction, _wait(prediction.delivery_failures + 1))
    else:
        await _insist(deliveries.release, prediction)
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
    item = await _in_thread(predictions.find_item)(prediction_id) or {}
    log.error("answer_given_up", prediction_id=prediction_id, error=str(error))
    await _insist(deliveries.abandon, prediction_id)
    chat_id, message_id = _number(item.get("chat_id")), _number(item.get("message_id"))
    if chat_id is not None:
        try:
            with language.speaking(_text(item.get("language"))):
                await api.send_text(chat_id, replies.gave_up(), message_id)
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


def _answer_ms(prediction: Prediction) -> int | None:
    """Return how long the sender has waited, or None if an operator stepped in, perhaps days later."""
    if prediction.acts:
        return None
    return timeline.between_ms(prediction.received_at or prediction.created_at, times.now())


async def _insist(write: Callable[..., Outcome], *arguments: object) -> None:
    """Repeat a write until it succeeds: an answer whose outcome is lost would be sent late, or twice."""
    give_up_at = time.monotonic() + _INSIST_SECONDS
    while True:
        try:
            await _in_thread(write)(*arguments)
        except items.Incomplete:
            return  # It is written; something else in the item cannot be read.
        except (ClientError, BotoCoreError) as error:
            if time.monotonic() > give_up_at:
                raise
            log.warning("delivery_unrecorded", error=str(error))
            await asyncio.sleep(_INSIST_AGAIN_SECONDS)
        else:
            return


def _refused(prediction: Prediction) -> Attempt:
    if prediction.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERABLE):
        return Attempt(Result.SETTLED)
    if not prediction.finished:
        return Attempt(Result.NOT_FINISHED)
    milliseconds = timeline.between_ms(times.now(), prediction.delivery_until)
    return Attempt(Result.SOMEBODY_ELSE, max(0, milliseconds or 0) / 1000)
