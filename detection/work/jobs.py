"""Turn a received photo into a prediction and its job: the photo in S3, the item in DynamoDB, the message in SQS."""

import hashlib
import time
from datetime import timedelta

import structlog
from celery import current_app

from detection.record import images, predictions, times
from detection.record.predictions import Outcome
from detection.record.reasons import Reason
from detection.record.schemas import Form, Options, Prediction, Status

log = structlog.get_logger()

# Jobs in the queue name their task: each release needs one of that name. A sender needs nothing that works on photos.
DETECT = "detection.detect"

# Whoever made the item has this long to send its job; then a repeated update sends it.
_FIRST_ONE = timedelta(seconds=5)
_LOOK_AGAIN_SECONDS = 0.1


def find(prediction_id: str) -> Prediction | None:
    """Return the prediction if its job is on its way already, so that nothing is left to do."""
    prediction = predictions.find(prediction_id)
    if prediction and (prediction.enqueued_at or prediction.finished):
        return prediction
    return None


def submit(prediction: Prediction, photo: bytes | bytearray) -> Prediction:
    """Store the photo and the item, then send the job; when this returns, all three are durable. Return the item.

    Safe to repeat at any point, even concurrently: the item is made once, and one of several callers sends the job.
    """
    images.put(prediction.image_key, photo, "application/octet-stream")
    created = submit_stored(prediction)
    return created.prediction or prediction


def submit_stored(prediction: Prediction) -> Outcome:
    """Store the item of a photo that is stored already, then send the job; safe to repeat as `submit` is."""
    created = predictions.create(prediction)
    if not created.granted and somebody_else_sends(prediction.prediction_id):
        log.info("photo_repeated")
    else:
        send(prediction)
        log.info("job_sent", chat_id=prediction.chat_id, photo_bytes=prediction.photo_bytes)
    return created


def to_read(photo: Prediction, asked_in: int) -> Prediction:
    """Return a prediction that has an answered photo read; the text answers the message that asked for it.

    Its id follows from the photo's: nobody has more read than their limit lets them send.
    """
    identity = hashlib.sha256(f"read:{photo.prediction_id}".encode()).hexdigest()[:32]
    return Prediction(
        identity,
        photo.chat_id,
        asked_in,
        image_key=f"photos/{identity}",
        sender_id=photo.sender_id,
        author_id=photo.author_id,
        thread_id=photo.thread_id,
        language=photo.language,
        received_at=times.now(),
        options=Options(form=Form.TEXT),
    )


def complete(prediction: Prediction, photo: bytes | bytearray) -> None:
    """Store the photo of an item that was made before it, then send the job. Safe to repeat, as `submit` is."""
    stored = predictions.note_photo(prediction.prediction_id, len(photo)).prediction
    if stored:
        images.put(stored.image_key, photo, "application/octet-stream")
        send(stored)
        log.info("job_sent", chat_id=stored.chat_id, photo_bytes=len(photo))


def send(prediction: Prediction, delay_seconds: int = 0) -> None:
    """Send the job of a prediction, for now or a while later. A second one does no harm: only one can claim it."""
    sent_at = times.now()
    current_app.send_task(
        DETECT,
        kwargs={
            "prediction_id": prediction.prediction_id,
            "image_key": prediction.image_key,
            "chat_id": prediction.chat_id,
        },
        # SQS is fair between groups: hundreds of photos from one person do not hold up a single photo from another.
        MessageGroupId=str(prediction.chat_id),
        delay_seconds=delay_seconds,
        ignore_result=True,
    )
    predictions.mark_enqueued(prediction.prediction_id, sent_at)


def refuse(prediction: Prediction, reason: Reason) -> None:
    """Store a prediction that failed before it began, so that its sender is told the reason once."""
    predictions.create(prediction)
    predictions.fail(prediction.prediction_id, reason)
    log.info("photo_refused", reason=reason.code.name)


def somebody_else_sends(prediction_id: str) -> bool:
    """Wait for whoever made the item to send its job; return whether that happened while the item was young."""
    while True:
        prediction = predictions.find(prediction_id)
        if prediction is None or prediction.enqueued_at or prediction.status is not Status.QUEUED:
            return prediction is not None
        if times.latest(prediction.created_at) < times.now(-_FIRST_ONE):
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
