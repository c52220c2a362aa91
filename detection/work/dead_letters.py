"""Read, replay and delete the dead letters of the jobs."""

import json
import math
from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import structlog
from django.conf import settings

from botsite import aws
from botsite.sqs.dead_letter_queue import DeadLetterQueue
from detection.record import items, predictions, times
from detection.record.schemas import Status

log = structlog.get_logger()

# A reader hides the letters from others until it has finished; if it dies, until this is over.
_HIDDEN_SECONDS = 120
_LOOKED_AT_AT_MOST = 500
# An operator's poll waits longer than the burial's last one, which hides the letters, and so finds what that releases.
WAIT_SECONDS = 2
BURIAL_WAIT_SECONDS = 1
# In characters: each may take four of the 2048 bytes that DynamoDB takes for a key.
_LONGEST_ID = 512


class NoDeadLetterQueue(Exception):
    """The jobs queue has no redrive policy; the text says what to do."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was received too often. `prediction_id` is None unless it is our job; times are epoch ms."""

    message_id: str
    receipt_handle: str
    body: str
    task: str | None
    prediction_id: str | None
    receives: int
    sent_at: int
    chat_id: int | None = None


def queue_url() -> str:
    """Return the URL of the dead-letter queue that the jobs queue names in its redrive policy."""
    return _queue_of(settings.JOBS_QUEUE_URL)


@cache
def _queue_of(jobs_url: str) -> str:
    policy = _redrive_policy(jobs_url)
    if not policy:
        raise NoDeadLetterQueue(f"{jobs_url} has no redrive policy: run `manage.py provision` again.")
    name = policy["deadLetterTargetArn"].rpartition(":")[2]
    return jobs_url.rpartition("/")[0] + f"/{name}"


def receives_at_most() -> float:
    """Return after how many receives a job becomes a dead letter, as it is now; infinity if it never does."""
    return float(_redrive_policy(settings.JOBS_QUEUE_URL).get("maxReceiveCount", math.inf))


def _redrive_policy(jobs_url: str) -> dict[str, Any]:
    response = aws.client("sqs").get_queue_attributes(QueueUrl=jobs_url, AttributeNames=["RedrivePolicy"])
    policy: dict[str, Any] = json.loads(response.get("Attributes", {}).get("RedrivePolicy", "{}"))
    return policy


def read(wait_seconds: int = WAIT_SECONDS) -> Generator[DeadLetter, None, None]:
    """Yield every dead letter that is available now, each once.

    They are hidden from others meanwhile. When the generator is closed, those that were not deleted are released.
    """
    with closing(_queue().read(wait_seconds)) as messages:
        yield from map(_parse, messages)


def _queue() -> DeadLetterQueue:
    return DeadLetterQueue(aws.client("sqs"), queue_url(), _HIDDEN_SECONDS)


def count() -> int:
    """Return how many there are, including those that somebody is reading."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    response = aws.client("sqs").get_queue_attributes(QueueUrl=queue_url(), AttributeNames=names)
    return sum(int(response["Attributes"][name]) for name in names)


def look(at_most: int = _LOOKED_AT_AT_MOST) -> list[DeadLetter]:
    """Return up to `at_most` dead letters, oldest first, and release them."""
    with closing(read()) as letters:
        found = list(islice(letters, at_most))
    return sorted(found, key=lambda letter: letter.sent_at)


def chosen(message_ids: Collection[str] = ()) -> Generator[DeadLetter, None, None]:
    """Yield the available letters with these ids, or all of them without any, hidden from others meanwhile."""
    left = set(message_ids)
    with closing(read()) as letters:
        for letter in letters:
            if not message_ids or letter.message_id in left:
                left.discard(letter.message_id)
                yield letter
            if message_ids and not left:
                return


def replay(letter: DeadLetter) -> bool:
    """Put a letter back into the jobs queue; if its prediction failed, it is reopened and answered again.

    Return False, and leave the letter, if its prediction cannot be reopened now: its apology is being sent, or the item
    is incomplete.
    """
    try:
        opened = predictions.reopen(letter.prediction_id) if letter.prediction_id else None
    except items.Incomplete as error:
        log.error("item_incomplete", prediction_id=letter.prediction_id, error=str(error))
        return False
    prediction = opened.prediction if opened else None
    if prediction and prediction.status is Status.FAILED:
        return False
    sent_at = times.now()
    aws.client("sqs").send_message(QueueUrl=settings.JOBS_QUEUE_URL, MessageBody=letter.body)
    if prediction and not prediction.finished:
        predictions.mark_enqueued(prediction.prediction_id, sent_at)
    delete(letter)
    return True


def hopeless(letter: DeadLetter) -> str:
    """Return why nobody could be answered if a letter was replayed, as "that ...", empty if somebody could."""
    if letter.task is None:
        return "that are not jobs"
    if letter.prediction_id and predictions.find_item(letter.prediction_id) is None:
        return "whose photo is gone"
    return ""


def unreadable_jobs() -> list[DeadLetter]:
    """Return what waits in the jobs queue and is no job, hidden from workers for two minutes.

    What a worker has received just now, and what waits for its next try, can't be seen.
    """
    picked = _jobs().pick(lambda message: _job(message["Body"])[0] is None, _LOOKED_AT_AT_MOST)
    return [_parse(message) for message in picked]


def drop(unreadable: Collection[DeadLetter]) -> None:
    """Delete what `unreadable_jobs` returned."""
    for one in unreadable:
        _jobs().delete(one.receipt_handle)


def keep(unreadable: Collection[DeadLetter]) -> None:
    """Give back what `unreadable_jobs` returned."""
    _jobs().release([one.receipt_handle for one in unreadable])


def _jobs() -> DeadLetterQueue:
    return DeadLetterQueue(aws.client("sqs"), settings.JOBS_QUEUE_URL, _HIDDEN_SECONDS)


def delete(letter: DeadLetter) -> None:
    """Delete a letter from the queue."""
    _queue().delete(letter.receipt_handle)


def _parse(message: dict[str, Any]) -> DeadLetter:
    task, arguments = _job(message["Body"])
    prediction_id = arguments.get("prediction_id")
    known = isinstance(prediction_id, str) and 0 < len(prediction_id) <= _LONGEST_ID and prediction_id.isprintable()
    attributes = message.get("Attributes", {})
    return DeadLetter(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        task=task,
        prediction_id=prediction_id if known else None,
        receives=int(attributes.get("ApproximateReceiveCount", 0)),
        sent_at=int(attributes.get("SentTimestamp", 0)),
        chat_id=chat_id if isinstance(chat_id := arguments.get("chat_id"), int) else None,
    )


def _job(body: str) -> tuple[str | None, dict[str, Any]]:
    """Return the task and the keyword arguments of Celery's message (protocol 2), or (None, {}) for anything else."""
    try:
        envelope = json.loads(body)
        content = envelope["body"]
        keyword_arguments = (json.loads(content) if isinstance(content, str) else content)[1]
        task, named = envelope["headers"]["task"], dict(keyword_arguments)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None, {}
    # It is shown on terminals, which must not take it for commands.
    return (task, named) if isinstance(task, str) and task.isprintable() else (None, {})
