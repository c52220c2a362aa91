"""Explain each dead letter in the list: why it is there, how often it was tried, and what its sender knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from detection.record import queries
from detection.record.schemas import Delivery, Prediction, Status
from detection.work import sweep
from detection.work.dead_letters import DeadLetter

_NOT_A_JOB = "Not a job of this service."
_TOLD = {
    Delivery.PENDING: "being told",
    Delivery.DELIVERING: "being told",
    Delivery.DELIVERED: "was told",
    Delivery.UNDELIVERABLE: "can't be told: Telegram rejects the message",
}


@dataclass(frozen=True, slots=True)
class LetterLine:
    """One letter. `job` is the id of a job that exists or did, `chat` and `message` its sender's; 0 if unknown."""

    letter: DeadLetter
    sent: datetime
    job: str
    cause: str
    attempts: int | None = None
    chat: int = 0
    message: int = 0
    told: str = ""


def lines(letters: Sequence[DeadLetter]) -> list[LetterLine]:
    """Return the lines of up to 100 letters."""
    known = queries.known_briefly([letter.prediction_id for letter in letters if letter.prediction_id])
    return [line(letter, known.get(letter.prediction_id or "")) for letter in letters]


def summary(found: Sequence[LetterLine]) -> str:
    """Return how many of these are jobs, and whose senders know: "2 jobs failed too often; 1 of their senders ..."."""
    jobs = [each for each in found if each.chat]
    gone, others = sum(bool(each.job and not each.chat) for each in found), sum(not each.job for each in found)
    parts = [_of_jobs(jobs)] if jobs else []
    if gone:
        parts.append(f"{_count(gone, 'letter')} of jobs that no longer exist")
    if others:
        are = "is no job" if others == 1 else "are no jobs"
        parts.append(f"{_count(others, 'letter')} {are} of this service: nobody waits for an answer")
    return ". ".join(parts) + "."


def _of_jobs(jobs: Sequence[LetterLine]) -> str:
    if len(jobs) == 1:
        return f"1 job failed too often; its sender {jobs[0].told}"
    told = sum(each.told == _TOLD[Delivery.DELIVERED] for each in jobs)
    many = "none" if not told else "all" if told == len(jobs) else str(told)
    return f"{len(jobs)} jobs failed too often; {many} of their senders {'was' if told < 2 else 'were'} told"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def line(letter: DeadLetter, prediction: Prediction | None) -> LetterLine:
    """Return the line of a letter whose job is this prediction, or None."""
    sent = datetime.fromtimestamp(letter.sent_at / 1000, UTC)
    if not letter.prediction_id:
        return LetterLine(letter, sent, "", _NOT_A_JOB if not letter.task else "A job without an id that can be used.")
    if prediction is None:
        return LetterLine(letter, sent, letter.prediction_id, "Its job is deleted, expired, or cannot be read.")
    again = sweep.has_newer_job(letter, prediction)
    return LetterLine(
        letter,
        sent,
        letter.prediction_id,
        "Its job was sent again since." if again else _cause(prediction),
        prediction.attempts,
        prediction.chat_id,
        prediction.message_id,
        _told(prediction, again),
    )


def _cause(prediction: Prediction) -> str:
    if prediction.status is Status.SUCCEEDED:
        return "Its job has succeeded since."
    if prediction.failure:
        return f"The worker failed with {prediction.failure}."
    if not prediction.attempts:
        return "No worker began it: each that received it ended first, or could not reach AWS."
    return "Each worker that began it ended before it was done: killed, or out of memory."


def _told(prediction: Prediction, again: bool) -> str:
    if not prediction.finished:
        return "waits for the new job" if again else "is told within a minute"
    if prediction.status is Status.SUCCEEDED and prediction.delivery is Delivery.DELIVERED:
        return "has the answer"
    return _TOLD[prediction.delivery]
