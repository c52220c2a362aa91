"""Do to a job what an operator asks for. Each function raises NotAllowed, with the reason, if that makes no sense."""

from collections.abc import Callable

from detection.record import albums, authors, deliveries, feedback, images, items, predictions, reasons, timeline
from detection.record.albums import Member
from detection.record.predictions import Outcome
from detection.record.schemas import Prediction, Status, results_of
from detection.record.sentences import Code
from detection.work import callback, jobs

# Telegram's limit for a text is 4096; an apology that long is a mistake.
APOLOGY_LENGTH = 500


class NotAllowed(Exception):
    """The job's state does not allow this; the text says why, and what to do instead."""


def against_retry(prediction: Prediction) -> str | None:
    """Return why it cannot be retried as it stands; None if it can."""
    if prediction.status is Status.SUCCEEDED:
        return "it succeeded; resend its result instead"
    if timeline.never_stored(prediction):
        return "its file was refused and never stored"
    return "its apology is being sent right now; try again in a minute" if deliveries.being_sent(prediction) else None


def against_resend(prediction: Prediction) -> str | None:
    """Return why its answer cannot be sent again as it stands; None if it can."""
    return None if prediction.finished else "it has no result yet"


def against_apologise(prediction: Prediction) -> str | None:
    """Return why it cannot be given up as it stands; None if it can."""
    return "it has already finished" if prediction.finished else None


def retry(prediction_id: str) -> None:
    """Process the photo and answer again: for a job that failed, or whose message may be lost."""
    prediction = _find(prediction_id, against_retry)
    if not images.exists(prediction.image_key):
        raise NotAllowed("its photo is gone: it was deleted or has expired")
    if prediction.status is Status.FAILED:
        prediction = _granted(predictions.reopen(prediction_id))
    jobs.send(prediction)


def resend(prediction_id: str) -> None:
    """Send the answer of a finished job, even if it was sent before."""
    prediction = _find(prediction_id, against_resend)
    deliveries.reopen(prediction_id)
    callback.notify(prediction_id, prediction.chat_id)


def apologise(prediction_id: str, sentence: str = Code.APOLOGY.value) -> None:
    """Fail an unfinished job and send `sentence` to its sender."""
    _find(prediction_id, against_apologise)
    failed = _granted(predictions.fail(prediction_id, reasons.of(sentence)))
    callback.notify(prediction_id, failed.chat_id)


def delete(prediction_id: str) -> None:
    """Delete the photo, the boxed photo and the item: in this order, so that a failure can be found and repeated."""
    results = results_of(prediction_id)
    images.delete(f"photos/{prediction_id}", *results)
    item = predictions.delete(prediction_id)
    if "album_id" in item and "message_id" in item:
        albums.leave(item["album_id"], Member(int(item["message_id"]), prediction_id))
    if "author_id" in item:
        predictions.delete(authors.key(prediction_id))
    predictions.delete(feedback.key(prediction_id))
    # A worker may have stored its picture in between. One that does so later finds no item, and deletes it.
    images.delete(*results)


def _find(prediction_id: str, against: Callable[[Prediction], str | None]) -> Prediction:
    try:
        prediction = predictions.find(prediction_id)
    except items.Incomplete as error:
        raise NotAllowed(f"it is incomplete: {error}; delete it") from error
    if prediction is None:
        raise NotAllowed("it was deleted or has expired")
    if reason := against(prediction):
        raise NotAllowed(reason)
    return prediction


def _granted(outcome: Outcome) -> Prediction:
    if not (outcome.granted and outcome.prediction):
        raise NotAllowed("it changed in the meantime; reload the page")
    return outcome.prediction
