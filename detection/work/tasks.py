"""Do the job of a worker: claim, fetch, detect, draw, store, call back."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from celery import Task, shared_task
from celery.exceptions import Reject

from botsite import sqs
from botsite.sqs.receiving import RECEIVING
from detection.model import large_files
from detection.picture import image_headers
from detection.record import albums, images, predictions, times
from detection.record.reasons import Reason
from detection.record.schemas import Options, Prediction, results_of
from detection.record.sentences import Code
from detection.work import callback, dead_letters, jobs, process

if TYPE_CHECKING:
    from detection.model.boxed import Boxed

log = structlog.get_logger()

# A photo that kills its worker, or fails otherwise, this many times is given up.
TRIES_AT_MOST = 5
_AWS_FAILED = (ClientError, BotoCoreError)
# AWS may be back by then; otherwise the photo counts as tried, and runs alone the next time.
_GIVE_BACK_SECONDS = 30.0
_GIVE_BACK_AGAIN_SECONDS = 1.0
# As long as a message waits that comes back for the first time.
_AGAIN_SECONDS = 5


@shared_task(bind=True, name=jobs.DETECT)
def detect(self: Task, *, prediction_id: str, image_key: str, chat_id: int) -> None:
    """Answer one photo. It is safe to run twice; if it raises, the queue hands the job out again."""
    if not predictions.possible(prediction_id):
        raise ValueError(f"a job for {prediction_id!r}, which cannot be the id of a prediction")
    with structlog.contextvars.bound_contextvars(prediction_id=prediction_id):
        try:
            with process.JOBS.shared():
                left = _answer(prediction_id, self.request.id)
            if left:
                with process.JOBS.alone():
                    _take_over(left, self.request.id)
        except large_files.Crowded as crowded:
            log.info("job_put_off", reason=str(crowded))
            _come_again(prediction_id, sqs.receives(self.request))
            return
        except _AWS_FAILED as error:
            RECEIVING.failed(error)
            raise
        RECEIVING.worked()


def _come_again(prediction_id: str, receives: int) -> None:
    """Have the queue hand out again what was given back; its message has been received so often.

    Each receive brings that message closer to being a dead letter. Halfway, another takes its place: however long
    others crowd a photo out, it is not given up, and an outage has receives to use up.
    """
    if receives < dead_letters.receives_at_most() / 2:
        # Each time later.
        raise Reject("crowded", requeue=False) from None
    if prediction := predictions.find(prediction_id):
        jobs.send(prediction, _AGAIN_SECONDS)


def _answer(prediction_id: str, job_id: str) -> Prediction | None:
    """Process a photo that waits; return the prediction instead if its last holder died with it."""
    claimed = predictions.claim(prediction_id, job_id)
    prediction = claimed.prediction
    if prediction is None:
        log.warning("job_without_prediction")
        # It may have been deleted while a worker that then died was about to store its result.
        images.delete(*results_of(prediction_id))
    elif claimed.granted:
        _work(prediction)
    elif prediction.finished:
        callback.notify(prediction.prediction_id, prediction.chat_id)
    elif predictions.abandoned(prediction, job_id):
        return prediction
    else:
        log.info("job_left_to_another", started_at=times.text(times.latest(prediction.started_at)))
    return None


def _take_over(left: Prediction, job_id: str) -> None:
    log.warning("job_runs_alone", attempt=left.attempts + 1, tries=left.tries)
    taken = predictions.take_over(left, job_id)
    if taken.granted and taken.prediction:
        _work(taken.prediction)
    elif taken.prediction and taken.prediction.finished:
        callback.notify(left.prediction_id, left.chat_id)


def _work(claimed: Prediction) -> None:
    """Finish a claimed photo, or give it back and raise."""
    try:
        if claimed.tries > TRIES_AT_MOST:
            predictions.fail(claimed.prediction_id, Reason(Code.GIVEN_UP), claimed.attempts)
            log.error("job_given_up", tries=claimed.tries - 1)
        else:
            with process.METER.photo() as cpu_ms:
                _detect(claimed, cpu_ms)
    except (*_AWS_FAILED, large_files.Crowded):
        _give_back(claimed)
        raise
    callback.notify(claimed.prediction_id, claimed.chat_id)


def _detect(claimed: Prediction, cpu_ms: Callable[[], int]) -> None:
    # The metric's worker imports this module too, and has no image library.
    from detection.model import yolo

    started = time.monotonic()
    log.info("job_started", attempt=claimed.attempts)
    try:
        with large_files.BUDGET.lent(claimed.photo_bytes or 0, claimed.chat_id):
            boxed = _box(claimed, images.get(claimed.image_key))
    except images.ImageGone as error:
        _fail(claimed, Reason(Code.PHOTO_GONE), error)
        return
    if boxed is None:
        return
    images.put(claimed.result_key, boxed.jpeg, "image/jpeg")
    if boxed.copy:
        images.put(claimed.copy_key, boxed.copy, "image/jpeg")
    if boxed.full:
        images.put(claimed.full_key, boxed.full, "image/jpeg")
    frames = 1 + len(boxed.frames)
    for key, jpeg in zip(replace(claimed, frames=frames).frame_keys[1:], boxed.frames, strict=True):
        images.put(key, jpeg, "image/jpeg")
    stored = predictions.succeed(
        claimed,
        boxed.detections,
        yolo.load().name,
        boxed.inference_ms,
        cpu_ms(),
        candidates=boxed.candidates,
        classes=boxed.classes,
        options=boxed.options,
        shrunk=boxed.shrunk and not claimed.as_file,
        frames=frames,
        written=boxed.written,
    )
    if stored.prediction is None:
        # It was deleted meanwhile, and its pictures before this one was stored.
        images.delete(*results_of(claimed.prediction_id))
    log.info(
        "job_succeeded" if stored.granted else "job_overtaken",
        objects=len(boxed.detections),
        inference_ms=boxed.inference_ms,
        job_ms=round((time.monotonic() - started) * 1000),
    )


def _box(claimed: Prediction, photo: bytes | bytearray) -> "Boxed | None":
    """Return the photo with its objects, or None if it failed with a sentence for its sender."""
    from detection.model import reading, yolo
    from detection.model.boxed import Wanted

    wanted = Wanted(_asked(claimed), claimed.as_file, language=claimed.language)
    if claimed.floor_percent:
        wanted = replace(wanted, floor=claimed.floor_percent / 100)
    model = yolo.load()
    box = reading.box if claimed.is_text else model.box_clip if claimed.clip else model.box
    try:
        return box(photo, claimed.chat_id, wanted)
    except image_headers.UnreadableImage as error:
        _fail(claimed, error.reason, error)
    except large_files.Crowded:
        raise
    except Exception as error:
        # Decoding, the model or drawing failed, not AWS.
        failure = type(error).__name__
        if claimed.failure != failure:
            predictions.note_failure(claimed, failure)
            raise
        _fail(claimed, Reason(Code.OWN_FAILURE), error)
    return None


def _asked(claimed: Prediction) -> Options:
    """Return the options to use: its album's if its own caption asks for nothing. They may have come later."""
    album = albums.find(claimed.album_id) if claimed.album_id and not claimed.captioned else None
    return album.options if album and album.options else claimed.options


def _fail(claimed: Prediction, reason: Reason, error: Exception) -> None:
    predictions.fail(claimed.prediction_id, reason, claimed.attempts)
    log.warning("job_failed", error=str(error), error_type=type(error).__name__)


def _give_back(claimed: Prediction) -> None:
    """Return the claim, so that it does not count as a try, and anyone can claim the photo again."""
    give_up_at = time.monotonic() + _GIVE_BACK_SECONDS
    while True:
        try:
            predictions.give_back(claimed)
        except _AWS_FAILED as error:
            if time.monotonic() > give_up_at:
                log.warning("job_not_given_back", error=str(error))
                return
            time.sleep(_GIVE_BACK_AGAIN_SECONDS)
        else:
            return
