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
from .schemas import Status

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
# Before any time: only what was never sent at all is older.
_NEVER = "0"
GIVEN_UP = "Something went wrong on my side, several times. Please send the photo again later."


@shared_task(name="upkeep.sweep")
def sweep() -> None:
    """Find what is left lying, by index, and set it going again."""
    undelivered = list(predictions.unanswered(predictions.now(-UNDELIVERED)))
    for prediction_id, chat_id in undelivered:
        callback.notify(prediction_id, chat_id)
    resent, taken_over = _resend(), _take_over()
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


def _resend() -> int:
    """Send the jobs of queued predictions that have none; return how many."""
    # While jobs wait or are in work, each that was sent may be one of them.
    lost = predictions.now(-JOB_LOST) if _queue_is_empty() else _NEVER
    resent = 0
    for prediction in predictions.unfinished(Status.QUEUED, predictions.now(-WITHOUT_JOB), lost):
        # The index is a moment behind.
        if (prediction.enqueued_at or "") < lost:
            jobs.send(prediction)
            resent += 1
    return resent


def _take_over() -> int:
    """Send jobs for predictions that are processed for too long, or give them up; return how many."""
    stuck = predictions.now(-STUCK)
    taken_over = 0
    for prediction in predictions.unfinished(Status.PROCESSING, stuck, stuck):
        if max(prediction.started_at or "", prediction.enqueued_at or "") >= stuck:
            continue
        taken_over += 1
        if prediction.attempts >= ATTEMPTS_AT_MOST:
            predictions.fail(prediction.prediction_id, GIVEN_UP)
            callback.notify(prediction.prediction_id, prediction.chat_id)
        else:
            jobs.send(prediction)
    return taken_over


def _queue_is_empty() -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=settings.JOBS_QUEUE_URL, AttributeNames=names)
    return not any(int(answer["Attributes"][name]) for name in names)
