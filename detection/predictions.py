"""Keep predictions in DynamoDB, the only record of jobs that all machines share.

Every change of state is a conditional write, so that a step that happens twice has its effect once.
A refused condition is an answer, not an error; what DynamoDB itself refuses raises botocore's ClientError.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard
from uuid import uuid4

import structlog
from botocore.exceptions import ClientError
from django.conf import settings

from botsite import aws
from detection import items, timeline
from detection.schemas import Delivery, Detection, Prediction, Status

log = structlog.get_logger()

# A job that another message is working on is left to it for this long: longer than any photo takes, and than
# the queue's visibility timeout, after which that other message would come back by itself.
PROCESSING_STALE = timedelta(minutes=5)
# DynamoDB calls a longer key, or an empty one, an error: here it is just unknown.
_LONGEST_KEY_BYTES = 2048
# A chat has no more answers under way than this: it gets one a second.
_CHAT_AT_MOST = 100
# The longest that one send to Telegram may take (see botsite/bot/api.py), and a little.
DELIVERY_LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a conditional write was granted, and the item after it (before it, if it was refused)."""

    granted: bool
    prediction: Prediction | None


def now(offset: timedelta = timedelta()) -> str:
    """Return the current time as items hold it: ISO 8601, UTC, milliseconds."""
    return (datetime.now(UTC) + offset).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def find(prediction_id: str) -> Prediction | None:
    """Return the prediction as it is now (a consistent read), or None. Raise items.Incomplete if it is half written."""
    item = find_item(prediction_id)
    return items.read(item) if item is not None else None


def possible(prediction_id: object) -> TypeGuard[str]:
    """Return whether DynamoDB would take it for a key; a job may name anything."""
    try:
        return isinstance(prediction_id, str) and 0 < len(prediction_id.encode()) <= _LONGEST_KEY_BYTES
    except UnicodeEncodeError:  # Half of a surrogate pair, which JSON can hold.
        return False


def find_item(prediction_id: str) -> dict[str, Any] | None:
    """Return the item as it is stored (a consistent read), or None."""
    if not possible(prediction_id):
        return None
    answer = aws.dynamodb().get_item(
        TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": prediction_id}, ConsistentRead=True
    )
    return answer.get("Item")


def find_many(prediction_ids: Sequence[str]) -> dict[str, Prediction]:
    """Return, by id, those of up to 100 predictions that exist; what DynamoDB leaves unread is to be asked again."""
    keys = [{"prediction_id": prediction_id} for prediction_id in prediction_ids]
    table = settings.PREDICTIONS_TABLE
    answer = aws.dynamodb().batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    return {item["prediction_id"]: items.read(item) for item in answer["Responses"][table]}


def latest_of_chat(chat_id: int, limit: int = 20) -> list[str]:
    """Return the ids of a chat's predictions, the newest first (by index, so a moment behind)."""
    answer = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_chat",
        KeyConditionExpression="chat_id = :chat",
        ExpressionAttributeValues={":chat": chat_id},
        ScanIndexForward=False,
        Limit=limit,
    )
    return [item["prediction_id"] for item in answer["Items"]]


def seconds_since_newest() -> float | None:
    """Return how many seconds ago the newest photo came, infinity if none ever did; None if its time is no time.

    It is read by index, so a moment late. What claims to be from the future is passed over: it would be the newest for
    as long as that takes.
    """
    answer = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_time",
        KeyConditionExpression="#kind = :photo AND created_at <= :now",
        ProjectionExpression="created_at",
        ExpressionAttributeNames={"#kind": items.KIND},
        ExpressionAttributeValues={":photo": items.PHOTO, ":now": now()},
        ScanIndexForward=False,
        Limit=1,
    )
    if not answer["Items"]:
        return math.inf
    came = timeline.parse(answer["Items"][0]["created_at"])
    return (datetime.now(UTC) - came).total_seconds() if came else None


def unanswered(finished_before: str) -> Iterator[tuple[str, int]]:
    """Yield (prediction_id, chat_id) of what was finished before that time and nobody is sending, oldest first.

    What is pending may have been put off until later; what is being sent is free once its sender's lease has run out.
    """
    for delivery in (Delivery.PENDING, Delivery.DELIVERING):
        finished = "finished_at < :before"
        for item in _query("by_delivery", delivery, finished_before, finished, {":before": finished_before}):
            if "chat_id" in item and item.get("delivery_until", "") < now():
                yield item["prediction_id"], int(item["chat_id"])


def close_chat(chat_id: int) -> None:
    """Give up what is finished and not delivered in a chat that is closed to the bot."""
    for prediction_id in latest_of_chat(chat_id, limit=_CHAT_AT_MOST):
        claimed = claim_delivery(prediction_id)
        if claimed.granted and claimed.prediction:
            finish_delivery(claimed.prediction, Delivery.UNDELIVERABLE)


def unfinished(status: Status, left_before: str, untouched_since: str) -> Iterator[Prediction]:
    """Yield predictions of that status, made or reopened before one time, sent or begun last before the other.

    They are as they are now: the index finds them, a moment behind. One that is half written is left to the operator:
    it must not hold up the others.
    """
    untouched = " AND ".join(f"(attribute_not_exists({touch}) OR {touch} < :since)" for touch in _TOUCHES[status])
    incomplete = []
    for item in _query("by_status", status, left_before, untouched, {":since": untouched_since}):
        try:
            prediction = find(item["prediction_id"])
        except items.Incomplete:
            incomplete.append(item["prediction_id"])
            continue
        if prediction and prediction.status is status and _left(prediction, left_before, untouched_since):
            yield prediction
    if incomplete:
        log.error("items_incomplete", status=status, found=len(incomplete), oldest=incomplete[0])


# What tells that work on it goes on. A queued prediction that is reopened keeps the time when it was begun before.
_TOUCHES = {Status.QUEUED: ("enqueued_at",), Status.PROCESSING: ("enqueued_at", "started_at")}


def _left(prediction: Prediction, left_before: str, untouched_since: str) -> bool:
    touches = [getattr(prediction, touch) or "" for touch in _TOUCHES[prediction.status]]
    return (prediction.reopened_at or "") < left_before and max(touches) < untouched_since


def _query(
    index: str, value: str, created_before: str, condition: str, values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a little of each item of an index that meets a condition, the oldest first, page by page.

    DynamoDB applies the condition: the thousands that only wait for their turn never come here.
    """
    pages = (
        aws.dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=settings.PREDICTIONS_TABLE,
            IndexName=index,
            KeyConditionExpression="#attribute = :value AND created_at < :created",
            FilterExpression=condition,
            ProjectionExpression="prediction_id, chat_id, delivery_until",
            ExpressionAttributeNames={"#attribute": index.removeprefix("by_")},
            ExpressionAttributeValues={":value": value, ":created": created_before, **values},
        )
    )
    for page in pages:
        yield from page["Items"]


def create(prediction: Prediction) -> Outcome:
    """Store a new prediction unless one of this id exists; then the outcome holds that one."""
    created = datetime.now(UTC)
    item = {
        **items.write(prediction),
        "created_at": now(),
        "expires_at": int((created + timedelta(days=settings.PREDICTIONS_KEPT_DAYS)).timestamp()),
    }
    try:
        aws.dynamodb().put_item(
            TableName=settings.PREDICTIONS_TABLE,
            Item=item,
            ConditionExpression="attribute_not_exists(prediction_id)",
        )
    except ClientError as error:
        if _refused(error):
            return Outcome(granted=False, prediction=find(prediction.prediction_id))
        raise
    return Outcome(granted=True, prediction=items.read(item))


def mark_enqueued(prediction_id: str, sent_at: str) -> None:
    """Record that the job for this prediction is in the queue, since then."""
    _update(prediction_id, "SET enqueued_at = :at", "attribute_exists(prediction_id)", {":at": sent_at})


def claim(prediction_id: str, job_id: str) -> Outcome:
    """Take a queued prediction for the job (the message's task id) that is to work on it; refused unless it is queued.

    A refused outcome whose prediction is `processing` may be taken over, see `abandoned`.
    """
    holder = uuid4().hex
    outcome = _update(
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
    stale = (prediction.started_at or "") < now(-PROCESSING_STALE)
    return prediction.status is Status.PROCESSING and (prediction.job_id == job_id or stale)


def take_over(abandoned: Prediction, job_id: str) -> Outcome:
    """Take a prediction from a holder that died; refused if anything has happened to it since it was read."""
    return _update(
        abandoned.prediction_id,
        f"SET {_CLAIM}",
        "#status = :processing AND attempts = :seen",
        {":seen": abandoned.attempts, **_claim_values(job_id, uuid4().hex)},
    )


_CLAIM = "#status = :processing, started_at = :now, job_id = :job, holder = :holder ADD attempts :one, tries :one"


def _claim_values(job_id: str, holder: str) -> dict[str, Any]:
    return {":processing": Status.PROCESSING, ":now": now(), ":job": job_id, ":holder": holder, ":one": 1}


def give_back(claimed: Prediction) -> Outcome:
    """Return a claim that AWS kept from being worked on: it does not count as a try."""
    return _update(
        claimed.prediction_id,
        "SET #status = :queued ADD tries :less",
        _HELD,
        {":queued": Status.QUEUED, ":less": -1, **_held_values(claimed)},
    )


def note_failure(claimed: Prediction, failure: str) -> Outcome:
    """Return a claim that ended with an exception, and remember it: the same one twice is the photo's own failure."""
    return _update(
        claimed.prediction_id,
        "SET #status = :queued, failure = :failure",
        _HELD,
        {":queued": Status.QUEUED, ":failure": failure, **_held_values(claimed)},
    )


def succeed(claimed: Prediction, detections: list[Detection], model: str, inference_ms: int) -> Outcome:
    """Store the result of the claim; refused if somebody claimed the prediction after it."""
    return _update(
        claimed.prediction_id,
        "SET #status = :succeeded, finished_at = :now, detections = :detections, model = :model,"
        " inference_ms = :inference_ms",
        _HELD,
        {
            ":succeeded": Status.SUCCEEDED,
            ":now": now(),
            ":detections": [items.detection(box) for box in detections],
            ":model": model,
            ":inference_ms": inference_ms,
            **_held_values(claimed),
        },
    )


# `attempts` only ever rises, so a worker that was overtaken is refused, also after an operator had it done again.
_HELD = "#status = :processing AND attempts = :attempts"


def _held_values(claimed: Prediction) -> dict[str, Any]:
    return {":processing": Status.PROCESSING, ":attempts": claimed.attempts}


def fail(prediction_id: str, error: str, attempt: int | None = None) -> Outcome:
    """End the prediction with a sentence for its sender; refused if it is finished already.

    With `attempt`, refused unless it is that attempt which is in work.
    """
    condition = "#status IN (:queued, :processing)" if attempt is None else _HELD
    seen = {":queued": Status.QUEUED} if attempt is None else {":attempts": attempt}
    values = {":failed": Status.FAILED, ":processing": Status.PROCESSING, ":now": now(), ":error": error}
    update = "SET #status = :failed, finished_at = :now, #error = :error"
    return _update(prediction_id, update, condition, values | seen)


def reopen(prediction_id: str) -> Outcome:
    """Let a failed prediction be worked on again, and be answered again.

    Refused unless it failed, and while its apology is being sent: that would count as the answer to come.
    """
    return _update(
        prediction_id,
        "SET #status = :queued, delivery = :pending, tries = :none, reopened_at = :now"
        " REMOVE finished_at, delivered_at, delivery_until, delivery_lease, delivery_failures, enqueued_at, failure,"
        " #error",
        "#status = :failed AND (delivery <> :delivering OR delivery_until < :now)",
        {
            ":queued": Status.QUEUED,
            ":pending": Delivery.PENDING,
            ":failed": Status.FAILED,
            ":delivering": Delivery.DELIVERING,
            ":none": 0,
            ":now": now(),
        },
    )


def being_sent(prediction: Prediction) -> bool:
    """Return whether somebody has the right to send its answer at this moment."""
    return prediction.delivery is Delivery.DELIVERING and (prediction.delivery_until or "") >= now()


def reopen_delivery(prediction_id: str) -> Outcome:
    """Let an answer that was sent, or given up, be sent again; refused unless it was."""
    return _update(
        prediction_id,
        "SET delivery = :pending, reopened_at = :now"
        " REMOVE delivered_at, delivery_until, delivery_lease, delivery_failures",
        "#status IN (:succeeded, :failed) AND delivery IN (:delivered, :undeliverable)",
        {
            ":pending": Delivery.PENDING,
            ":delivered": Delivery.DELIVERED,
            ":undeliverable": Delivery.UNDELIVERABLE,
            ":succeeded": Status.SUCCEEDED,
            ":failed": Status.FAILED,
            ":now": now(),
        },
    )


def note(prediction_id: str, operation: str, operator: str) -> None:
    """Record on the item what an operator does to it, so that it is seen on every instance; refused without one."""
    act = {"at": now(), "operation": operation, "operator": operator}
    _update(
        prediction_id,
        "SET acts = list_append(if_not_exists(acts, :none), :act)",
        "attribute_exists(prediction_id)",
        {":none": [], ":act": [act]},
    )


def delete(prediction_id: str) -> None:
    """Forget the prediction, if there is one."""
    aws.dynamodb().delete_item(TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": prediction_id})


def claim_delivery(prediction_id: str) -> Outcome:
    """Take the right to send the answer, for DELIVERY_LEASE: one sender at a time, and none before its time.

    Raise items.Incomplete, with the right taken, if the answer cannot be read.
    """
    return _update(
        prediction_id,
        "SET delivery = :delivering, delivery_until = :until, delivery_lease = :lease",
        "#status IN (:succeeded, :failed) AND delivery IN (:pending, :delivering)"
        " AND (attribute_not_exists(delivery_until) OR delivery_until < :now OR delivery_lease = :lease)",
        {
            # botocore repeats a write whose reply was lost: that one finds the lease to be its own.
            ":lease": uuid4().hex,
            ":delivering": Delivery.DELIVERING,
            ":pending": Delivery.PENDING,
            ":succeeded": Status.SUCCEEDED,
            ":failed": Status.FAILED,
            ":now": now(),
            ":until": now(DELIVERY_LEASE),
        },
    )


def release_delivery(leased: Prediction) -> Outcome:
    """Give the right to send back: nothing was sent. Refused if the lease ran out and somebody else has it."""
    return _update(
        leased.prediction_id,
        "SET delivery = :pending REMOVE delivery_until",
        _LEASED,
        {":pending": Delivery.PENDING, **_leased_values(leased)},
    )


def postpone_delivery(leased: Prediction, wait: timedelta) -> Outcome:
    """Give the right to send back after a failure of this very answer; nobody has it again before `wait` is over."""
    return _update(
        leased.prediction_id,
        "SET delivery = :pending, delivery_until = :later ADD delivery_failures :one",
        _LEASED,
        {":pending": Delivery.PENDING, ":later": now(wait), ":one": 1, **_leased_values(leased)},
    )


_LEASED = "delivery = :delivering AND delivery_lease = :lease"


def _leased_values(leased: Prediction) -> dict[str, Any]:
    return {":delivering": Delivery.DELIVERING, ":lease": leased.delivery_lease}


def finish_delivery(leased: Prediction, delivery: Delivery) -> Outcome:
    """Record that the answer is with Telegram, or never can be.

    It does not matter who has the lease by now, but it is about the answer that was sent: refused if the prediction was
    reopened since. Reopening takes the lease off the item, and work that is done again finishes at another time.
    """
    return _update(
        leased.prediction_id,
        "SET delivery = :delivery, delivered_at = :now REMOVE delivery_until",
        "delivery IN (:pending, :delivering) AND attribute_exists(delivery_lease) AND finished_at = :finished",
        {
            ":delivery": delivery,
            ":pending": Delivery.PENDING,
            ":delivering": Delivery.DELIVERING,
            ":finished": leased.finished_at,
            ":now": now(),
        },
    )


def abandon_delivery(prediction_id: str) -> Outcome:
    """Record that an answer which nobody can read will never be sent."""
    return _update(
        prediction_id,
        "SET delivery = :undeliverable REMOVE delivery_until",
        "delivery = :delivering",
        {":undeliverable": Delivery.UNDELIVERABLE, ":delivering": Delivery.DELIVERING},
    )


def migrate_chat(chat_id: int, new_chat_id: int) -> None:
    """Send what is not yet answered in a group to the supergroup that it has become."""
    for prediction_id in latest_of_chat(chat_id, limit=_CHAT_AT_MOST):
        _update(
            prediction_id,
            "SET chat_id = :new",
            "chat_id = :old AND delivery IN (:pending, :delivering)",
            {
                ":new": new_chat_id,
                ":old": chat_id,
                ":pending": Delivery.PENDING,
                ":delivering": Delivery.DELIVERING,
            },
        )


def _update(prediction_id: str, update: str, condition: str, values: dict[str, Any]) -> Outcome:
    # Two attribute names of the contract, `status` and `error`, are words that DynamoDB keeps for itself.
    names = {f"#{name}": name for name in ("status", "error") if f"#{name}" in update + condition}
    try:
        answer = aws.dynamodb().update_item(
            TableName=settings.PREDICTIONS_TABLE,
            Key={"prediction_id": prediction_id},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            **({"ExpressionAttributeNames": names} if names else {}),
            ReturnValues="ALL_NEW",
        )
    except ClientError as error:
        if _refused(error):
            return Outcome(granted=False, prediction=find(prediction_id))
        raise
    return Outcome(granted=True, prediction=items.read(answer["Attributes"]))


def _refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
