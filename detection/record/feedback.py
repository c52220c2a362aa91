"""Keep what people say of answers: one item per photo. The index by time lists complaints for operators.

It goes with its photo (detection/work/operations.py, detection/work/erasure.py), and expires with it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from botsite import aws
from detection.record import items, predictions, times
from detection.record.schemas import Prediction

KIND = "feedback"
# The answer is right; something that is in the photo was not found. Anything else is the number of a wrong candidate.
RIGHT, MISSED = "right", "missed"
_WORDS_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was said of an answer, first at that time: wrong boxes by number, whether something was missed, praise."""

    prediction_id: str
    at: datetime
    wrong: tuple[int, ...]
    missed: bool
    right: bool = False

    def words(self, prediction: Prediction | None) -> str:
        """Return "wrong: person, dog; something was missed; right", with labels as far as they are known."""
        boxes = prediction.candidates if prediction else ()
        wrong = ", ".join(boxes[each].label if each < len(boxes) else f"box {each + 1}" for each in self.wrong)
        said = {f"wrong: {wrong}": wrong, "something was missed": self.missed, "right": self.right}
        return "; ".join(words for words, true in said.items() if true)


def key(prediction_id: str) -> str:
    """Return the key of a photo's complaints."""
    return f"feedback#{prediction_id}"


def add(prediction: Prediction, word: str) -> bool:
    """Store that a box is wrong (its number), or something MISSED, or all RIGHT; return False if the photo is gone.

    The same said twice is stored once.
    """
    # What is no complaint stays out of the index.
    complaint = {} if word == RIGHT else {":kind": KIND}
    aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": key(prediction.prediction_id)},
        UpdateExpression=f"SET {'#kind = :kind, ' if complaint else ''}"
        "created_at = if_not_exists(created_at, :now), expires_at = :expires ADD words :word",
        ConditionExpression="attribute_not_exists(words) OR size(words) < :most",
        **({"ExpressionAttributeNames": {"#kind": items.KIND}} if complaint else {}),
        ExpressionAttributeValues=complaint
        | {
            ":now": times.text(times.now()),
            ":expires": _expires(prediction),
            ":word": {word},
            ":most": _WORDS_AT_MOST,
        },
    )
    if predictions.find_item(prediction.prediction_id) is not None:
        return True
    # It was deleted meanwhile, and this is not to be found any more.
    predictions.delete(key(prediction.prediction_id))
    return False


def of(prediction_ids: Sequence[str]) -> dict[str, Feedback]:
    """Return the complaints about up to 100 photos, by id; photos without complaints are left out."""
    keys = [{"prediction_id": key(each)} for each in dict.fromkeys(prediction_ids)]
    table = settings.PREDICTIONS_TABLE
    if not keys:
        return {}
    # What DynamoDB leaves unread is shown the next time.
    response = aws.dynamodb().batch_get_item(RequestItems={table: {"Keys": keys}})
    found = map(_read, response["Responses"].get(table, ()))
    return {each.prediction_id: each for each in found}


def newest(limit: int) -> list[str]:
    """Return the ids of the photos with complaints, newest first."""
    return [item["prediction_id"].removeprefix(key("")) for item in _query(limit, timedelta(days=400))["Items"]]


def count(since: timedelta, at_most: int) -> int:
    """Return how many photos got complaints in that time, counting up to `at_most`."""
    return int(_query(at_most, since, Select="COUNT")["Count"])


def _query(limit: int, since: timedelta, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        IndexName="by_time",
        KeyConditionExpression="#kind = :kind AND created_at > :since",
        ExpressionAttributeNames={"#kind": items.KIND},
        ExpressionAttributeValues={":kind": KIND, ":since": times.text(times.now(-since))},
        ScanIndexForward=False,
        Limit=limit,
        **more,
    )
    return answer


def _read(item: Mapping[str, Any]) -> Feedback:
    words = set(item.get("words", ()))
    numbers = sorted(int(word) for word in words if word.isdecimal())
    at = times.latest(times.parse(item.get("created_at")))
    return Feedback(item["prediction_id"].removeprefix(key("")), at, tuple(numbers), MISSED in words, RIGHT in words)


def _expires(prediction: Prediction) -> int:
    created = prediction.created_at
    since = created.timestamp() if created else time.time()
    return int(since + timedelta(days=settings.PREDICTIONS_KEPT_DAYS).total_seconds())
