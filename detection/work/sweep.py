"""Finish what a crash or a lost message left half done, on the metric role every 30 s. A second run is harmless.

No photo stays in a state forever: what is finished is delivered, what is queued gets a job, what is processed for too
long is taken over, and the sender of what was given up is told. One sweep and one burial run at a time. Each stops
starting things after a while, and the next one continues.

While the service is paused, answers and missing jobs are still sent, but nothing is taken over or given up: what does
not go on then waits for the operator.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain, takewhile, zip_longest

import structlog
from celery import shared_task
from django.conf import settings

from botsite import aws, pause
from detection.record import deletions, items, predictions, queries, times
from detection.record.reasons import Reason
from detection.record.schemas import Prediction, Status
from detection.record.sentences import Code
from detection.work import callback, dead_letters, jobs, task_lease, tasks
from detection.work.dead_letters import DeadLetter

log = structlog.get_logger()

# By then the worker's own calls of /results have had their chance.
UNDELIVERED = timedelta(seconds=60)
# By then the site has sent the job, or failed to.
WITHOUT_JOB = timedelta(seconds=60)
# Longer than a claim is respected (predictions.PROCESSING_STALE), so that the job sent now can take over.
STUCK = timedelta(minutes=10)
# If the queue is empty, nobody holds a job that old.
JOB_LOST = timedelta(minutes=15)
# An item records within this time that its job was sent; a message takes longer to become a dead letter.
RECORDED = timedelta(seconds=60)
# A chat gets one answer a second: later sweeps send the rest.
ANSWERS_OF_A_CHAT = 60
# A run starts nothing after this; its turn leaves time for its last calls of AWS, which may take half a minute each.
WORK = timedelta(seconds=60)
TURN = timedelta(seconds=150)

# Dead letters whose senders know, by message id: they stay in the queue for the operator, and come up each time.
_told: set[str] = set()


@shared_task(name="upkeep.sweep")
def sweep() -> bool:
    """Find by index what is stuck, and set it going again; return whether it was this sweep's turn."""
    with task_lease.take("sweep", TURN) as mine:
        if mine:
            _sweep(time.monotonic() + WORK.total_seconds())
    return mine


@shared_task(name="upkeep.bury")
def bury() -> bool:
    """Fail the predictions whose jobs are dead letters, so that their senders are told once.

    The letters stay in their queue for the operator (`manage.py dlq`), who may pause the service to replay them before
    their senders are told. Return whether it was this burial's turn.
    """
    with task_lease.take("bury", TURN) as mine:
        if mine and not pause.current():
            _bury(time.monotonic() + WORK.total_seconds())
    return mine


def _sweep(until: float) -> None:
    undelivered = list(_in_turn(queries.unanswered(times.now(-UNDELIVERED))))
    # The next sweep finds what does not fit or is not reached.
    called = next((number for number, each in enumerate(undelivered) if not callback.notify(*each)), len(undelivered))
    taken_over, given_up = (0, 0) if pause.current() else _take_over(until)
    resent = _resend(until)
    for key in deletions.due():
        # A site goes on with what another one died over: it may delete, and tell people.
        callback.notify(key, chat_id=0)
    if undelivered or resent or taken_over or given_up:
        log.warning(
            "swept",
            undelivered=len(undelivered),
            called=called,
            resent=resent,
            taken_over=taken_over,
            given_up=given_up,
        )


def _in_turn(undelivered: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Yield one answer per chat, then the next one per chat, so that nobody waits behind a chat with hundreds."""
    chats: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for prediction_id, chat_id in undelivered:
        if len(chats[chat_id]) < ANSWERS_OF_A_CHAT:
            chats[chat_id].append((prediction_id, chat_id))
    return (each for each in chain.from_iterable(zip_longest(*chats.values())) if each)


def _take_over(until: float) -> tuple[int, int]:
    """Send jobs for predictions that were processed for too long, or give them up; return how many of each."""
    stuck = times.now(-STUCK)
    taken_over = given_up = 0
    for prediction in _before(until, queries.unfinished(Status.PROCESSING, stuck, stuck)):
        if prediction.tries < tasks.TRIES_AT_MOST:
            jobs.send(prediction)
            taken_over += 1
        elif predictions.fail(prediction.prediction_id, Reason(Code.GIVEN_UP), attempt=prediction.attempts).granted:
            callback.notify(prediction.prediction_id, prediction.chat_id)
            given_up += 1
    return taken_over, given_up


def _resend(until: float) -> int:
    """Send the jobs of queued predictions that have none; return how many."""
    # While jobs wait or are in progress, each job that was sent may be one of them.
    lost = times.now(-JOB_LOST) if _queue_is_empty() else times.NEVER
    resent = 0
    for prediction in _before(until, queries.unfinished(Status.QUEUED, times.now(-WITHOUT_JOB), lost)):
        jobs.send(prediction)
        resent += 1
    return resent


def _before(until: float, found: Iterable[Prediction]) -> Iterator[Prediction]:
    return takewhile(lambda _: time.monotonic() < until, found)


def _queue_is_empty() -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    response = aws.client("sqs").get_queue_attributes(QueueUrl=settings.JOBS_QUEUE_URL, AttributeNames=names)
    return not any(int(response["Attributes"][name]) for name in names)


def _bury(until: float) -> None:
    met: set[str] = set()
    with closing(dead_letters.read(dead_letters.BURIAL_WAIT_SECONDS)) as letters:
        for letter in letters:
            met.add(letter.message_id)
            if letter.message_id not in _told:
                _tell(letter)
                _told.add(letter.message_id)
            if time.monotonic() > until:
                return
    _told.intersection_update(met)


def _tell(letter: DeadLetter) -> None:
    """Fail the letter's prediction and have its sender told, unless it is finished or was sent again."""
    try:
        prediction = predictions.find(letter.prediction_id) if letter.prediction_id else None
    except items.Incomplete as error:
        log.error("item_incomplete", prediction_id=letter.prediction_id, error=str(error))
        return
    if prediction is None or prediction.finished or has_newer_job(letter, prediction):
        return
    if predictions.fail(prediction.prediction_id, Reason(Code.GIVEN_UP)).granted:
        log.error("job_given_up", prediction_id=prediction.prediction_id, receives=letter.receives)
        callback.notify(prediction.prediction_id, prediction.chat_id)


def has_newer_job(letter: DeadLetter, prediction: Prediction) -> bool:
    """Return whether the photo was reopened or sent again since: then this letter is not its last job."""
    sent = datetime.fromtimestamp(letter.sent_at / 1000, UTC) + RECORDED
    return times.latest(prediction.enqueued_at, prediction.reopened_at) > sent
