"""Tell the story of one photo from its item: what happened when, how long each step took, and what to do now."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened, `after_ms` milliseconds after the step before it."""

    name: str
    at: datetime
    note: str = ""
    after_ms: int | None = None


def steps(prediction: Prediction) -> list[Step]:
    """Return what happened, in the order of the times: a retried photo has older steps in between."""
    known = sorted(((at, name, note) for at, name, note in _events(prediction) if at), key=lambda event: event[0])
    gaps = [None, *(_milliseconds(before[0], after[0]) for before, after in pairwise(known))]
    return [Step(name, at, note, gap) for (at, name, note), gap in zip(known, gaps, strict=True)]


def total_ms(prediction: Prediction) -> int | None:
    """Return how long the sender waited from the update to the first answer, or None if there is no answer yet."""
    if prediction.delivery is Delivery.UNDELIVERABLE and not prediction.resent_at:
        return None
    return between_ms(prediction.received_at or prediction.created_at, prediction.delivered_at)


def refused(prediction: Prediction) -> bool:
    """Return whether it failed because of its file or its sender, so that operators have nothing to do."""
    return never_stored(prediction) or (prediction.reason is not None and prediction.reason.refused)


def never_stored(prediction: Prediction) -> bool:
    """Return whether the file was refused before it was stored: its item has no size, and no job was ever sent.

    Nor has a photo of an earlier release whose job was not sent yet when an operator gave it up, in other words.
    """
    untouched = prediction.photo_bytes is None and not (prediction.enqueued_at or prediction.attempts)
    ours = prediction.reason is not None and not prediction.reason.refused
    return prediction.status is Status.FAILED and untouched and not ours


def between_ms(start: datetime | None, end: datetime | None) -> int | None:
    """Return the milliseconds from one time to another, or None if one is missing."""
    return _milliseconds(start, end) if start and end else None


def readable(milliseconds: int | None) -> str:
    """Return "87 ms", "1.4 s", "3 min 20 s" or "2 h 5 min"; a dash for None."""
    if milliseconds is None:
        return "–"
    if abs(milliseconds) < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def advice(prediction: Prediction, photo_gone: bool = False) -> str:
    """Return what an operator can expect or should do now; `photo_gone` if the photo is no longer stored."""
    match prediction.status, prediction.delivery:
        case Status.QUEUED, _ if not prediction.enqueued_at:
            return "Its job has not been sent yet. The sweep sends it within two minutes."
        case Status.QUEUED, _:
            return "Waiting for a worker. If none is running, the first machine takes a few minutes to start."
        case Status.PROCESSING, _:
            return "A worker has it. If that worker dies, another one takes over within ten minutes."
        case _, Delivery.PENDING | Delivery.DELIVERING:
            return "The answer is being sent. If it does not arrive, the sweep sends it again after about a minute."
        case _, Delivery.UNDELIVERABLE if prediction.delivery_failures:
            return "Sending the answer failed for hours and was given up. Fix the cause, then resend it."
        case _, Delivery.UNDELIVERABLE:
            return (
                "Telegram rejects the answer: the chat is gone or has blocked the bot. Resend it if that has changed."
            )
        case Status.FAILED, _:
            return f"The sender {_failure(prediction, photo_gone)}"
    return "All is well: the answer was delivered to Telegram."


def _failure(prediction: Prediction, photo_gone: bool) -> str:
    if never_stored(prediction):
        return "was told why the file was refused. It was never stored, so it can't be retried. Nothing to do."
    gone = photo_gone or prediction.failed_by(Code.PHOTO_GONE)
    if refused(prediction):
        again = "" if gone else " Processing it again ends the same way, unless the release has changed since."
        return f"was told why the file was refused. Nothing to do.{again}"
    if gone:
        return "got an apology. The photo is no longer stored, so it can't be retried."
    return "got an apology. Fix the cause, then retry: the photo is processed and answered again."


def _events(prediction: Prediction) -> list[tuple[datetime | None, str, str]]:
    failed = prediction.status is Status.FAILED
    ended = "given up" if prediction.delivery is Delivery.UNDELIVERABLE else ""
    attempt = f"attempt {prediction.attempts}" if prediction.attempts else ""
    result = (prediction.error or "") if failed else _result(prediction)
    return [
        (prediction.received_at, "update received", ""),
        (
            prediction.created_at,
            "file refused" if never_stored(prediction) else "photo stored",
            f"message {prediction.message_id} in chat {prediction.chat_id}"
            + (f", album {prediction.album_id}" if prediction.album_id else ""),
        ),
        (prediction.reopened_at, "reopened", ""),
        (prediction.enqueued_at, "job sent", ""),
        (prediction.started_at, "processing started", attempt),
        (prediction.finished_at, _end(prediction), result),
        (prediction.delivered_at, "delivered" if prediction.resent_at else ended or "delivered", ""),
        (prediction.resent_at, ended or "sent again", ""),
        *((act.at, f"operator: {act.operation}", f"by {act.operator}") for act in prediction.acts),
    ]


def _end(prediction: Prediction) -> str:
    if prediction.status is not Status.FAILED:
        return "processed"
    return "refused" if refused(prediction) else "failed"


def _result(prediction: Prediction) -> str:
    count = len(prediction.detections)
    parts = [f"{count} object{'' if count == 1 else 's'}"]
    if prediction.model:
        parts.append(f"by {prediction.model}")
    if prediction.inference_ms is not None:
        parts.append(f"in {prediction.inference_ms} ms")
    return " ".join(parts)


def _milliseconds(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)
