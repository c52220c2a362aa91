"""The job of a worker: claim, fetch, detect, draw, store, call back."""

import time

import structlog
from celery import Task, shared_task

from . import callback, headers, images, predictions
from .schemas import Prediction

log = structlog.get_logger()


@shared_task(bind=True, name="detection.detect")
def detect(self: Task, *, prediction_id: str, image_key: str, chat_id: int) -> None:
    """Answer one photo. Safe to run twice; what raises here comes back from the queue."""
    with structlog.contextvars.bound_contextvars(prediction_id=prediction_id):
        claimed = predictions.claim(prediction_id, self.request.id)
        if claimed.granted and claimed.prediction:
            _work(claimed.prediction)
        elif claimed.prediction is None:
            log.error("job_without_prediction", image_key=image_key, chat_id=chat_id)
            return
        elif not claimed.prediction.finished:
            log.info("job_left_to_another", started_at=claimed.prediction.started_at)
            return
        callback.notify(prediction_id, chat_id)


def _work(prediction: Prediction) -> None:
    # Whoever only sends this task has no image library.
    from . import yolo

    started = time.monotonic()
    log.info("job_started", attempt=prediction.attempts)
    try:
        boxed = yolo.load().box(images.get(prediction.image_key), prediction.chat_id)
    except (headers.UnreadableImage, images.ImageGone) as error:
        sentence = str(error) if isinstance(error, headers.UnreadableImage) else "The photo is no longer stored."
        predictions.fail(prediction.prediction_id, sentence)
        log.warning("job_failed", error=str(error))
        return
    images.put(prediction.result_key, boxed.jpeg, "image/jpeg")
    stored = predictions.succeed(prediction, boxed.detections, yolo.load().name, boxed.inference_ms)
    log.info(
        "job_succeeded" if stored.granted else "job_overtaken",
        objects=len(boxed.detections),
        inference_ms=boxed.inference_ms,
        job_ms=round((time.monotonic() - started) * 1000),
    )
