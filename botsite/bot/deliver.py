"""Send the answer of a finished prediction to its chat: once, by whoever holds the lease."""

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Literal

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from botsite import telegram, under_way
from detection import images, pixels, predictions, timeline
from detection.predictions import Outcome
from detection.schemas import Delivery, Prediction, Status

from . import replies

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)
# A photo may be at most 20 times longer than wide; what is longer goes as a file.
_LONGEST_PHOTO = 20
# An outage of DynamoDB that lasts longer leaves the answer to the sweep, which sends it again.
_INSIST_SECONDS = 600.0
_INSIST_AGAIN_SECONDS = 0.5


class Result(Enum):
    """What became of a delivery."""

    UNKNOWN = auto()
    NOT_FINISHED = auto()
    SOMEBODY_ELSE = auto()
    SETTLED = auto()


async def deliver(prediction_id: str) -> Result:
    """Send the answer unless it was sent. Raise TelegramError or botocore's errors if it has to be tried again.

    It goes on when the caller is gone: Django cancels a view whose client hangs up, and an answer that is sent and not
    recorded would be sent again.
    """
    return await asyncio.shield(under_way.start(_deliver(prediction_id)))


async def _deliver(prediction_id: str) -> Result:
    send_before = time.monotonic() + predictions.DELIVERY_LEASE.total_seconds() - telegram.LONGEST_SEND_SECONDS
    claimed = await _in_thread(predictions.claim_delivery)(prediction_id)
    prediction = claimed.prediction
    if prediction is None:
        return Result.UNKNOWN
    if not claimed.granted:
        return _refused(prediction)
    try:
        await _send(prediction, send_before)
    except telegram.TelegramError as error:
        if not error.permanent:
            await _insist(predictions.release_delivery, prediction)
            raise
        await _insist(predictions.finish_delivery, prediction_id, Delivery.UNDELIVERABLE)
        log.warning("answer_undeliverable", chat_id=prediction.chat_id, error=str(error))
        if error.blocked:
            await _in_thread(predictions.close_chat)(prediction.chat_id)
        return Result.SETTLED
    except (ClientError, BotoCoreError):
        # The boxed photo could not be fetched: nothing was sent. After any other error the lease runs out.
        await _insist(predictions.release_delivery, prediction)
        raise
    await _insist(predictions.finish_delivery, prediction_id, Delivery.DELIVERED)
    log.info("answer_delivered", chat_id=prediction.chat_id, status=prediction.status, answer_ms=_answer_ms(prediction))
    return Result.SETTLED


def _answer_ms(prediction: Prediction) -> int | None:
    """Return how long the sender has waited, or None if an operator had a hand in it: that may be days later."""
    if prediction.acts:
        return None
    return timeline.between_ms(prediction.received_at or prediction.created_at, predictions.now())


async def _insist(write: Callable[..., Outcome], *arguments: object) -> None:
    """Make a write for as long as it takes: what became of an answer, if forgotten, has it sent late or twice."""
    give_up_at = time.monotonic() + _INSIST_SECONDS
    while True:
        try:
            await _in_thread(write)(*arguments)
        except (ClientError, BotoCoreError) as error:
            if time.monotonic() > give_up_at:
                raise
            log.warning("delivery_unrecorded", error=str(error))
            await asyncio.sleep(_INSIST_AGAIN_SECONDS)
        else:
            return


def _refused(prediction: Prediction) -> Result:
    if prediction.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERABLE):
        return Result.SETTLED
    return Result.SOMEBODY_ELSE if prediction.finished else Result.NOT_FINISHED


async def _send(prediction: Prediction, before: float) -> None:
    if prediction.status is Status.FAILED or not prediction.detections:
        text = prediction.error if prediction.status is Status.FAILED else replies.NOTHING_FOUND
        await telegram.send_text(prediction.chat_id, text or replies.UNAVAILABLE, prediction.message_id, before=before)
        return
    caption = replies.counts(prediction.detections)
    try:
        image = await _in_thread(images.get)(prediction.result_key)
    except images.ImageGone:
        log.exception("result_image_gone")
        await telegram.send_text(prediction.chat_id, caption, prediction.message_id, before=before)
        return
    try:
        await telegram.send_image(
            prediction.chat_id, image, caption, form=_form(image), reply_to=prediction.message_id, before=before
        )
    except telegram.TelegramError as error:
        if error.blocked or not error.permanent:
            raise
        # Telegram does not like this picture and never will: the counts are an answer too.
        log.warning("result_image_refused", error=str(error))
        await telegram.send_text(prediction.chat_id, caption, prediction.message_id, before=before)


def _form(image: bytes) -> Literal["photo", "document"]:
    header = pixels.inspect(image)
    ratio = max(header.width, header.height) / min(header.width, header.height)
    return "photo" if ratio <= _LONGEST_PHOTO else "document"
