"""Make the lines of a list of jobs: an index names the jobs, their items say what was found, and when.

That takes one more read for each hundred: an index holds neither the detections, which would be most of its size, nor
the time of the update.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.urls import reverse

from botsite.bot.words.found import counts
from botsite.staff.jobs.filters import JobState
from detection.record import feedback, items, queries, reasons, timeline, times
from detection.record.schemas import Delivery, Prediction, Status


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job in a list; what is unknown is empty or None.

    `given_up`: sending the answer failed for hours. `picture` is the small picture's address, which changes with the
    boxed photo; it is empty without one. `said` is what its sender says is wrong with the answer.
    """

    prediction_id: str
    address: str
    created_at: str
    state: str
    delivery: str
    given_up: bool
    found: str
    error: str
    chat_id: str
    waited_ms: int | None
    attempts: str
    inference_ms: str
    picture: str = ""
    said: str = ""


def lines(rows: Sequence[items.Row]) -> list[JobLine]:
    """Return the lines of up to 100 jobs. An item that cannot be read is shown as its index has it."""
    ids = [row.prediction_id for row in rows]
    known, said = queries.known_briefly(ids), feedback.of(ids)
    found = ((row, known.get(row.prediction_id), said.get(row.prediction_id)) for row in rows)
    return [
        replace(_line(row, prediction), said=words.words(prediction) if words else "")
        for row, prediction, words in found
    ]


def state(prediction: Prediction) -> str:
    """Return the one word for where a job stands."""
    return str(JobState.REFUSED if timeline.refused(prediction) else prediction.status)


def found(prediction: Prediction) -> str:
    """Return "3 people, 1 bus", "nothing", or an empty text if there is no result."""
    if prediction.status is not Status.SUCCEEDED:
        return ""
    return counts(prediction.detections) or "nothing"


def given_up(prediction: Prediction) -> bool:
    """Return whether sending the answer failed for hours. A chat that blocked the bot is nobody's task."""
    return prediction.delivery is Delivery.UNDELIVERABLE and prediction.delivery_failures > 0


def _address(page: str, row: items.Row) -> str:
    return reverse(f"admin:detection_job_{page}", args=[quote(row.prediction_id)])


def _line(row: items.Row, prediction: Prediction | None) -> JobLine:
    address = _address("change", row)
    if prediction is None:
        word = JobState.REFUSED if row.status == JobState.FAILED and reasons.of(row.error).refused else row.status
        return JobLine(
            row.prediction_id, address, row.created_at, word, row.delivery, False, "", row.error, row.chat_id,
            None, row.attempts, row.inference_ms,
        )  # fmt: skip
    boxed = prediction.status is Status.SUCCEEDED and prediction.finished_at
    return JobLine(
        prediction_id=row.prediction_id,
        address=address,
        created_at=row.created_at,
        state=state(prediction),
        delivery=prediction.delivery,
        given_up=given_up(prediction),
        found=found(prediction),
        error=prediction.error or "",
        chat_id=str(prediction.chat_id),
        waited_ms=timeline.total_ms(prediction),
        attempts=str(prediction.attempts or ""),
        inference_ms="" if prediction.inference_ms is None else str(prediction.inference_ms),
        picture=f"{_address('picture', row)}?{urlencode({'at': times.text(boxed)})}" if boxed else "",
    )
