"""What an operator can do to a job. Each raises Refused, with a sentence that says why, where it makes no sense."""

from collections.abc import Callable

import structlog
from django.conf import settings

from detection import callback, deliveries, images, items, jobs, predictions
from detection.predictions import Outcome
from detection.schemas import Prediction, Status

log = structlog.get_logger()

APOLOGY = "Sorry, I could not work on this photo. Please send it again."
# Telegram's limit for a text is 4096; an apology that long is a mistake.
APOLOGY_LENGTH = 500


class Refused(Exception):
    """The job is not in a state for this; the text says which it is in and what to do instead."""


def against_retry(prediction: Prediction) -> str | None:
    """Return why, as it stands, it cannot be worked on again; None if it can."""
    if prediction.status is Status.SUCCEEDED:
        return "it has succeeded, and would again: resend its result instead"
    return "its apology is being sent right now: try again in a minute" if deliveries.being_sent(prediction) else None


def against_resend(prediction: Prediction) -> str | None:
    """Return why, as it stands, it cannot be sent again; None if it can."""
    return None if prediction.finished else "it is not finished, so there is no result yet"


def against_apologise(prediction: Prediction) -> str | None:
    """Return why, as it stands, it cannot be given up; None if it can."""
    return "it is finished already" if prediction.finished else None


def retry(prediction_id: str) -> None:
    """Have the photo worked on again and answered again. For a job that failed, or whose message may be lost."""
    prediction = _find(prediction_id, against_retry)
    if not images.exists(prediction.image_key):
        raise Refused(f"its photo is no longer stored: photos are kept for {settings.PREDICTIONS_KEPT_DAYS} days")
    if prediction.status is Status.FAILED:
        prediction = _granted(predictions.reopen(prediction_id))
    jobs.send(prediction)


def resend(prediction_id: str) -> None:
    """Have the answer of a finished job sent to its chat, also if it was sent before."""
    prediction = _find(prediction_id, against_resend)
    deliveries.reopen(prediction_id)
    callback.notify(prediction_id, prediction.chat_id)


def apologise(prediction_id: str, sentence: str = APOLOGY) -> None:
    """Fail a job that is not finished, and tell its sender `sentence`."""
    _find(prediction_id, against_apologise)
    failed = _granted(predictions.fail(prediction_id, sentence))
    callback.notify(prediction_id, failed.chat_id)


def delete(prediction_id: str) -> None:
    """Delete the photo, the boxed photo and the item: in this order, so that what fails can be found and repeated."""
    result = f"results/{prediction_id}.jpg"
    images.delete(f"photos/{prediction_id}", result)
    predictions.delete(prediction_id)
    # A worker that had it may have stored its picture in between. One that comes later finds no item and deletes it.
    images.delete(result)


def _find(prediction_id: str, against: Callable[[Prediction], str | None]) -> Prediction:
    try:
        prediction = predictions.find(prediction_id)
    except items.Incomplete as error:
        raise Refused(f"it is half written: {error}; delete it") from error
    if prediction is None:
        raise Refused("there is no such job (any more)")
    if reason := against(prediction):
        raise Refused(reason)
    return prediction


def _granted(outcome: Outcome) -> Prediction:
    if not (outcome.granted and outcome.prediction):
        raise Refused("it has changed in this very moment: look at it again")
    return outcome.prediction
