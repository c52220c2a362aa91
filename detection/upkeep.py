"""Mend what a crash or a lost message left half done. Runs on the metric role, every 30 s, harmless when doubled.

No state is one that nobody leaves: what is finished is delivered, what is queued has a job, what is processed for
too long is taken over, and what was given up is told to its sender.
"""

from datetime import UTC, datetime, timedelta

import structlog
from celery import shared_task
from django.conf import settings

from botsite import aws

from . import callback, dead_letters, jobs, predictions
from .dead_letters import DeadLetter
from .schemas import Prediction, Status

log = structlog.get_logger()

# The worker's own calls of /results have had their time by then.
UNDELIVERED = timedelta(seconds=60)
# The site has sent the job, or failed to, by then.
WITHOUT_JOB = timedelta(seconds=60)
# Longer than a claim is respected (predictions.PROCESSING_STALE), so that the job sent now can take over.
STUCK = timedelta(minutes=10)
# With an empty queue, a job that old is in nobody's hands.
JOB_LOST = timedelta(minutes=15)
# As many as the queue's maxReceiveCount: a photo that kills its workers is not tried for ever.
ATTEMPTS_AT_MOST = 5
# That a job was sent is recorded on the item after it was, and before this has passed; a letter takes longer to die.
RECORDED = timedelta(seconds=60)
GIVEN_UP = "Something went wrong on my side, several times. Please send the photo again later."


@shared_task(name="upkeep.sweep")
def sweep() -> None:
    """Find what is left lying, by index, and set it going again."""
    undelivered = list(predictions.unanswered(predictions.now(-UNDELIVERED)))
    for prediction_id, chat_id in undelivered:
        callback.notify(prediction_id, chat_id)
    resent = sum(map(_set_going, predictions.unfinished(Status.QUEUED, predictions.now(-WITHOUT_JOB))))
    taken_over = sum(map(_take_over, predictions.unfinished(Status.PROCESSING, predictions.now(-STUCK))))
    if undelivered or resent or taken_over:
        log.warning("swept", undelivered=len(undelivered), resent=resent, taken_over=taken_over)


@shared_task(name="upkeep.bury")
def bury() -> None:
    """Fail the predictions whose jobs are dead letters, so that their senders are told once.

    The letters stay where they are, for the operator: `manage.py dlq`.
    """
    for letter in dead_letters.look():
        if not letter.prediction_id or _has_newer_job(letter):
            continue
        failed = predictions.fail(letter.prediction_id, GIVEN_UP)
        if failed.granted and failed.prediction:
            log.error("job_given_up", prediction_id=letter.prediction_id, receives=letter.receives)
            callback.notify(failed.prediction.prediction_id, failed.prediction.chat_id)


def _has_newer_job(letter: DeadLetter) -> bool:
    """Return whether the photo was tried again since: that job dies a death of its own, if it does."""
    prediction = predictions.find(letter.prediction_id or "")
    sent = datetime.fromtimestamp(letter.sent_at / 1000, UTC) + RECORDED
    return bool(prediction and prediction.enqueued_at and datetime.fromisoformat(prediction.enqueued_at) > sent)


def _set_going(prediction: Prediction) -> bool:
    """Send the job of a queued prediction if it has none; return whether it was sent."""
    sent = prediction.enqueued_at
    if sent and not (sent < predictions.now(-JOB_LOST) and _queue_is_empty()):
        return False
    jobs.send(prediction)
    return True


def _take_over(prediction: Prediction) -> bool:
    """Send another job for a prediction that is processed for too long, or give it up; return whether it was."""
    recent = predictions.now(-STUCK)
    if (prediction.started_at or "") > recent or (prediction.enqueued_at or "") > recent:
        return False
    if prediction.attempts >= ATTEMPTS_AT_MOST:
        predictions.fail(prediction.prediction_id, GIVEN_UP)
        callback.notify(prediction.prediction_id, prediction.chat_id)
    else:
        jobs.send(prediction)
    return True


def _queue_is_empty() -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=settings.JOBS_QUEUE_URL, AttributeNames=names)
    return not any(int(answer["Attributes"][name]) for name in names)
