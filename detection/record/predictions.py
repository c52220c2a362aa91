"""Keep predictions in DynamoDB, the only record of jobs that all machines share.

Every change of state is a conditional write, so that a step that happens twice has its effect once. A condition that
does not hold is an answer, not an error; any other failure of DynamoDB raises botocore's ClientError.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeGuard
from uuid import uuid4

from django.conf import settings

from botsite import aws
from detection.record import items, times
from detection.record.reasons import Reason
from detection.record.schemas import Delivery, Detection, Options, Prediction, Status
from detection.record.sentences import Code

# A job that another message is working on is left to it for this long: longer than any photo takes, and than
# the queue's visibility timeout, after which that other message would come back by itself.
PROCESSING_STALE = timedelta(minutes=5)
# DynamoDB rejects an empty key or a longer one; here it is simply unknown.
_LONGEST_KEY_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a conditional write was granted, and the item after it (as it stands, if it was refused)."""

    granted: bool
    prediction: Prediction | None


def find(prediction_id: str) -> Prediction | None:
    """Return the prediction as it is now (a consistent read), or None. Raise items.Incomplete if it cannot be read."""
    item = find_item(prediction_id)
    return items.read(item) if item is not None else None


def possible(prediction_id: object) -> TypeGuard[str]:
    """Return whether DynamoDB would accept it as a key; a job may name anything."""
    try:
        return isinstance(prediction_id, str) and 0 < len(prediction_id.encode()) <= _LONGEST_KEY_BYTES
    except UnicodeEncodeError:  # Half of a surrogate pair, which JSON can hold.
        return False


def find_item(prediction_id: str) -> dict[str, Any] | None:
    """Return the item as it is stored (a consistent read), or None."""
    if not possible(prediction_id):
        return None
    response = aws.dynamodb().get_item(
        TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": prediction_id}, ConsistentRead=True
    )
    return response.get("Item")


def create(prediction: Prediction) -> Outcome:
    """Store a new prediction, unless one with this id exists; then the outcome holds that one."""
    created = times.now()
    expires = created + timedelta(days=settings.PREDICTIONS_KEPT_DAYS)
    item = items.write(replace(prediction, created_at=created)) | {"expires_at": int(expires.timestamp())}
    new = "attribute_not_exists(prediction_id)"
    if aws.conditional(aws.dynamodb().put_item, Item=item, ConditionExpression=new) is None:
        return Outcome(granted=False, prediction=find(prediction.prediction_id))
    return Outcome(granted=True, prediction=items.read(item))


def mark_enqueued(prediction_id: str, sent_at: datetime) -> None:
    """Record when the job for this prediction was sent."""
    update(prediction_id, "SET enqueued_at = :at", "attribute_exists(prediction_id)", {":at": sent_at})


def claim(prediction_id: str, job_id: str) -> Outcome:
    """Take a queued prediction for a job (the message's task id); refused unless it is queued.

    A refused outcome whose prediction is `processing` may be taken over, see `abandoned`.
    """
    holder = uuid4().hex
    outcome = update(
        prediction_id,
        f"SET {_CLAIM}",
        "#status = :queued",
        {":queued": Status.QUEUED, **_claim_values(job_id, holder)},
    )
    # botocore repeats a write whose reply was lost. The repeat is refused, and finds what the first one wrote.
    if outcome.prediction and outcome.prediction.holder == holder:
        return Outcome(granted=True, prediction=outcome.prediction)
    return outcome


def abandoned(prediction: Prediction, job_id: str) -> bool:
    """Return whether the last holder of a prediction died with it, as far as this job can tell.

    Either the job's own message came back although nobody gave the prediction back, or it has been held for too long.
    """
    stale = times.latest(prediction.started_at) < times.now(-PROCESSING_STALE)
    return prediction.status is Status.PROCESSING and (prediction.job_id == job_id or stale)


def take_over(abandoned: Prediction, job_id: str) -> Outcome:
    """Take a prediction from a holder that died; refused if it has changed since it was read."""
    return update(
        abandoned.prediction_id,
        f"SET {_CLAIM}",
        "#status = :processing AND attempts = :seen",
        {":seen": abandoned.attempts, **_claim_values(job_id, uuid4().hex)},
    )


_CLAIM = "#status = :processing, started_at = :now, job_id = :job, holder = :holder ADD attempts :one, tries :one"


def _claim_values(job_id: str, holder: str) -> dict[str, Any]:
    return {":processing": Status.PROCESSING, ":now": times.now(), ":job": job_id, ":holder": holder, ":one": 1}


def give_back(claimed: Prediction) -> Outcome:
    """Return a claim that failed because of AWS: it does not count as a try."""
    return update(
        claimed.prediction_id,
        "SET #status = :queued ADD tries :less",
        _HELD,
        {":queued": Status.QUEUED, ":less": -1, **_held_values(claimed)},
    )


def note_failure(claimed: Prediction, failure: str) -> Outcome:
    """Return a claim that ended with an exception, and record it: the same one twice is the photo's own failure."""
    return update(
        claimed.prediction_id,
        "SET #status = :queued, failure = :failure",
        _HELD,
        {":queued": Status.QUEUED, ":failure": failure, **_held_values(claimed)},
    )


def succeed(
    claimed: Prediction,
    detections: Sequence[Detection],
    model: str,
    inference_ms: int,
    cpu_ms: int = 0,
    candidates: Sequence[Detection] = (),
    classes: Mapping[str, int] = MappingProxyType({}),
    options: Options | None = None,
    shrunk: bool = False,
    frames: int = 1,
    written: str | None = None,
) -> Outcome:
    """Store the result of the claim, with the CPU time it took; refused if the prediction was claimed again since.

    `options` are what was made of those asked for; `shrunk` is whether the picture has a lower resolution;
    `frames` is how many pictures there are, and `written` what is written in the photo.
    """
    return update(
        claimed.prediction_id,
        "SET #status = :succeeded, finished_at = :now, detections = :detections, candidates = :candidates,"
        " options = :options, model = :model, inference_ms = :inference_ms, cpu_ms = :cpu_ms, cpus = :cpus,"
        " shrunk = :shrunk, frames = :frames" + (", written = :written" if written else ""),
        _HELD,
        ({":written": written} if written else {})
        | {
            ":succeeded": Status.SUCCEEDED,
            ":now": times.now(),
            ":detections": [items.detection(box) for box in detections],
            ":candidates": items.candidates(candidates, classes),
            ":options": items.options(options or claimed.options),
            ":model": model,
            ":inference_ms": inference_ms,
            ":cpu_ms": cpu_ms,
            ":cpus": os.cpu_count() or 1,
            ":shrunk": shrunk,
            ":frames": frames,
            **_held_values(claimed),
        },
    )


# `attempts` only ever rises, so a worker that was overtaken is refused, even after an operator's retry.
_HELD = "#status = :processing AND attempts = :attempts"


def _held_values(claimed: Prediction) -> dict[str, Any]:
    return {":processing": Status.PROCESSING, ":attempts": claimed.attempts}


def fail(prediction_id: str, reason: Reason, attempt: int | None = None) -> Outcome:
    """End the prediction with a reason for its sender; refused if it is finished already.

    With `attempt`, refused unless that attempt is in progress.
    """
    condition = "#status IN (:queued, :processing)" if attempt is None else _HELD
    seen = {":queued": Status.QUEUED} if attempt is None else {":attempts": attempt}
    values = {":processing": Status.PROCESSING, **_failing(reason), **seen}
    return update(prediction_id, _FAIL, condition, values)


def reword(prediction_id: str, reason: Reason) -> Outcome:
    """Give another reason for a failure; refused if its sender was told, or is being told."""
    values = {**_failing(reason), ":pending": Delivery.PENDING}
    return update(prediction_id, _FAIL, "#status = :failed AND delivery = :pending", values)


_FAIL = "SET #status = :failed, finished_at = :now, #error = :error, reason = :reason"


def _failing(reason: Reason) -> dict[str, Any]:
    now = times.now()
    return {":failed": Status.FAILED, ":now": now, ":error": str(reason), ":reason": items.reason(reason, now)}


def note_status_message(prediction_id: str, message_id: int) -> Outcome:
    """Record the message that tells how the wait goes; refused if there is another, or the answer is under way."""
    return update(
        prediction_id,
        "SET status_message_id = :message",
        "delivery = :pending AND attribute_not_exists(status_message_id)",
        {":message": message_id, ":pending": Delivery.PENDING},
    )


def ask_again(prediction_id: str, asked: Options, edited_at: datetime, *, captioned: bool) -> Outcome:
    """Have a photo that nobody has begun looked at as an edited caption asks."""
    values = {":queued": Status.QUEUED, ":options": items.options(asked), ":at": edited_at, ":captioned": captioned}
    change = "SET options = :options, captioned = :captioned, edited_at = :at"
    return update(prediction_id, change, "#status = :queued", values)


def show_again(shown: Prediction) -> Outcome:
    """Record how an answered photo is shown now that its caption was edited; its old picture is no longer shown."""
    return update(
        shown.prediction_id,
        "SET options = :options, detections = :detections, captioned = :captioned, edited_at = :at"
        " REMOVE picture_file_id",
        "#status = :succeeded",
        {
            ":succeeded": Status.SUCCEEDED,
            ":options": items.options(shown.options),
            ":detections": [items.detection(box) for box in shown.detections],
            ":captioned": shown.captioned,
            ":at": shown.edited_at,
        },
    )


def note_photo(prediction_id: str, photo_bytes: int) -> Outcome:
    """Record the size of a photo that was stored after its item; refused if the item does not exist."""
    values = {":bytes": photo_bytes}
    return update(prediction_id, "SET photo_bytes = :bytes", "attribute_exists(prediction_id)", values)


def note_guest_message(prediction_id: str, inline_message_id: str) -> Outcome:
    """Record the message with which a guest's query was answered; refused if there is one, for a query has one."""
    return update(
        prediction_id,
        "SET inline_message_id = :message",
        "attribute_exists(guest_query_id) AND attribute_not_exists(inline_message_id)",
        {":message": inline_message_id},
    )


def note_picture(prediction_id: str, file_id: str, message_id: int | None = None) -> Outcome:
    """Record under which file_id Telegram has the boxed photo; refused without an item.

    `message_id` is the message in the operator's chat by which Telegram got it, if it did.
    """
    values: dict[str, Any] = {":file": file_id}
    change = "SET picture_file_id = :file"
    if message_id is not None:
        change += ", picture_message_id = :message"
        values[":message"] = message_id
    return update(prediction_id, change, "attribute_exists(prediction_id)", values)


def forget_picture(prediction_id: str, message_id: int) -> Outcome:
    """Record that the message in the operator's chat is deleted; refused if it isn't that of this photo."""
    return update(prediction_id, "REMOVE picture_message_id", "picture_message_id = :message", {":message": message_id})


def cancel(prediction_id: str, chat_id: int) -> Outcome:
    """End a prediction of that chat that nobody has begun, because its sender wants no answer."""
    return update(
        prediction_id,
        _FAIL,
        "#status = :queued AND chat_id = :chat",
        {":queued": Status.QUEUED, ":chat": chat_id, **_failing(Reason(Code.CANCELLED))},
    )


def reopen(prediction_id: str) -> Outcome:
    """Let a failed prediction be processed and answered again.

    Refused unless it failed, and while its apology is being sent: that would count as the new answer.
    """
    return update(
        prediction_id,
        "SET #status = :queued, delivery = :pending, tries = :none, reopened_at = :now"
        " REMOVE finished_at, delivered_at, resent_at, delivery_until, delivery_lease, delivery_failures, enqueued_at,"
        " failure, #error, reason",
        "#status = :failed AND (delivery <> :delivering OR delivery_until < :now)",
        {
            ":queued": Status.QUEUED,
            ":pending": Delivery.PENDING,
            ":failed": Status.FAILED,
            ":delivering": Delivery.DELIVERING,
            ":none": 0,
            ":now": times.now(),
        },
    )


def note(prediction_id: str, operation: str, operator: str) -> None:
    """Record on the item what an operator does to it, so that every instance shows it; refused if it does not exist."""
    act = {"at": times.text(times.now()), "operation": operation, "operator": operator}
    update(
        prediction_id,
        "SET acts = list_append(if_not_exists(acts, :none), :act)",
        "attribute_exists(prediction_id)",
        {":none": [], ":act": [act]},
    )


def delete(prediction_id: str) -> dict[str, Any]:
    """Delete the prediction, if it exists; return its item as it was."""
    key = {"prediction_id": prediction_id}
    deleted = aws.dynamodb().delete_item(TableName=settings.PREDICTIONS_TABLE, Key=key, ReturnValues="ALL_OLD")
    return deleted.get("Attributes", {})


def update(prediction_id: str, change: str, condition: str, values: Mapping[str, Any]) -> Outcome:
    """Change an item if the condition holds. Times among the values are written as items hold them."""
    # Two attribute names of the contract, `status` and `error`, are words that DynamoDB keeps for itself.
    names = {f"#{name}": name for name in ("status", "error") if f"#{name}" in change + condition}
    reply = aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": prediction_id},
        UpdateExpression=change,
        ConditionExpression=condition,
        ExpressionAttributeValues=items.plain(values),
        **({"ExpressionAttributeNames": names} if names else {}),
        ReturnValues="ALL_NEW",
    )
    if reply is None:
        return Outcome(granted=False, prediction=find(prediction_id))
    return Outcome(granted=True, prediction=items.read(reply["Attributes"]))
