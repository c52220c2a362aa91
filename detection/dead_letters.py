"""Read, replay and purge the dead-letter queue of the jobs."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from django.conf import settings

from botsite import aws

from . import predictions

# A letter that is read is hidden for so long; nobody else needs it sooner.
_HIDDEN_SECONDS = 10
_READ_AT_MOST = 500
# SQS takes so many in one request.
_BATCH = 10


class NoDeadLetterQueue(Exception):
    """The jobs queue has no redrive policy; the text says what to do."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was received too often. `prediction_id` is None if it is no job of ours; times are epoch ms."""

    message_id: str
    receipt_handle: str
    body: str
    task: str | None
    prediction_id: str | None
    receives: int
    sent_at: int


@cache
def queue_url() -> str:
    """Return the URL of the dead-letter queue that the jobs queue names in its redrive policy."""
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=settings.JOBS_QUEUE_URL, AttributeNames=["RedrivePolicy"])
    policy = answer.get("Attributes", {}).get("RedrivePolicy")
    if not policy:
        raise NoDeadLetterQueue(f"{settings.JOBS_QUEUE_URL} has no redrive policy: run `manage.py provision` again.")
    name = json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2]
    return settings.JOBS_QUEUE_URL.rpartition("/")[0] + f"/{name}"


def read() -> Iterator[DeadLetter]:
    """Yield the dead letters, each once, at most some hundreds; they stay in the queue."""
    seen: set[str] = set()
    while len(seen) < _READ_AT_MOST:
        messages = aws.client("sqs").receive_message(
            QueueUrl=queue_url(),
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN_SECONDS,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        letters = [letter for letter in map(_parse, messages.get("Messages", [])) if letter.message_id not in seen]
        if not letters:
            return
        seen.update(letter.message_id for letter in letters)
        yield from letters


def count() -> int:
    """Return how many there are, those that somebody is looking at among them."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=queue_url(), AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def look(at_most: int = _READ_AT_MOST) -> list[DeadLetter]:
    """Return dead letters, the oldest first, and leave them where whoever comes next finds them."""
    found = list(islice(read(), at_most))
    release(found)
    return sorted(found, key=lambda letter: letter.sent_at)


def take(message_ids: Collection[str]) -> list[DeadLetter]:
    """Return the letters of these ids that can be had now, to be replayed; leave the others where they are."""
    found: list[DeadLetter] = []
    others: list[DeadLetter] = []
    for letter in read():
        (found if letter.message_id in message_ids else others).append(letter)
        if len(found) == len(message_ids):
            break
    release(others)
    return found


def release(letters: Sequence[DeadLetter]) -> None:
    """Let others see letters that were read, at once."""
    for start in range(0, len(letters), _BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": letter.receipt_handle, "VisibilityTimeout": 0}
            for number, letter in enumerate(letters[start : start + _BATCH])
        ]
        aws.client("sqs").change_message_visibility_batch(QueueUrl=queue_url(), Entries=entries)


def replay(letter: DeadLetter) -> None:
    """Put a letter back into the jobs queue; its prediction, if it failed, is opened again and answered again."""
    if letter.prediction_id:
        predictions.reopen(letter.prediction_id)
    sqs = aws.client("sqs")
    sqs.send_message(QueueUrl=settings.JOBS_QUEUE_URL, MessageBody=letter.body)
    sqs.delete_message(QueueUrl=queue_url(), ReceiptHandle=letter.receipt_handle)


def purge() -> None:
    """Delete all dead letters."""
    aws.client("sqs").purge_queue(QueueUrl=queue_url())


def _parse(message: dict[str, Any]) -> DeadLetter:
    task, arguments = _job(message["Body"])
    prediction_id = arguments.get("prediction_id")
    attributes = message.get("Attributes", {})
    return DeadLetter(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        task=task,
        prediction_id=prediction_id if isinstance(prediction_id, str) else None,
        receives=int(attributes.get("ApproximateReceiveCount", 0)),
        sent_at=int(attributes.get("SentTimestamp", 0)),
    )


def _job(body: str) -> tuple[str | None, dict[str, Any]]:
    """Return the task and the keyword arguments of Celery's message (protocol 2), or (None, {}) for anything else."""
    try:
        envelope = json.loads(body)
        content = envelope["body"]
        keyword_arguments = (json.loads(content) if isinstance(content, str) else content)[1]
        return str(envelope["headers"]["task"]), dict(keyword_arguments)
    except (ValueError, KeyError, TypeError, IndexError):
        return None, {}
