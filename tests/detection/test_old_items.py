"""Items as the previous release left them, in every state: read, found by the sweep, answered once."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import images, predictions
from detection.record.schemas import Delivery
from detection.work import sweep
from tests.support.cases import slow_after
from tests.support.processes import wait_until

OLD: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[1] / "upgrade" / "items.json").read_text())
BOXED = "a boxed photo"
ANSWERS = {
    "queued": BOXED,
    "queued, not sent": BOXED,
    "processing": BOXED,
    "reopened by an operator": BOXED,
    "succeeded": BOXED,
    "failed": "Something broke.",
    "delivering": "Something broke.",
}
# Longer ago than the sweep waits for anything, shorter than it gives anything up.
AGE = timedelta(minutes=40)
_WRITTEN = datetime.fromisoformat("2026-11-25T10:00:00.000Z")


@pytest.fixture(autouse=True)
def empty_queue(stack: LocalStack) -> None:
    """Purge the jobs: while one is left, such as one that keeps failing for another test, none counts as lost."""
    aws.client("sqs").purge_queue(QueueUrl=stack.env["JOBS_QUEUE_URL"])


def later(text: str) -> str:
    """Return a time of the fixture as if its photo had been sent `AGE` ago."""
    moved = datetime.fromisoformat(text) - _WRITTEN + datetime.now(UTC) - AGE
    return moved.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stored(state: str, user: TelegramUser, photo: bytes) -> str:
    """Store an item in this state, with its photos; return its id."""
    prediction_id = uuid4().hex
    message_id = user.send_text("hello")
    user.wait_for_reply(message_id)
    text = re.sub(r"2026-11-25T[\d:.]+Z", lambda time: later(time[0]), json.dumps(OLD[state]))
    item = json.loads(text) | {"prediction_id": prediction_id, "image_key": f"photos/{prediction_id}"}
    item |= {"chat_id": user.chat_id, "message_id": message_id}
    for key in (f"photos/{prediction_id}", f"results/{prediction_id}.jpg"):
        images.put(key, photo, "image/jpeg")
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=item)
    return prediction_id


def answers(user: TelegramUser) -> list[str | None]:
    """Return what the bot said after its answer to "hello"."""
    said = [message for message in user.messages() if message.from_bot][1:]
    return [BOXED if message.photo else message.text for message in said]


@pytest.mark.parametrize("state", slow_after(2, ANSWERS))
def test_old_item_is_answered_once(state: str, user: TelegramUser, photo: bytes) -> None:
    prediction_id = stored(state, user, photo)

    def delivered() -> bool:
        sweep.sweep()
        found = predictions.find(prediction_id)
        return found is not None and found.delivery is Delivery.DELIVERED

    wait_until(delivered)
    assert answers(user) == [ANSWERS[state]]


@pytest.mark.parametrize("state", sorted(OLD.keys() - ANSWERS))
def test_finished_old_item_is_left_alone(state: str, user: TelegramUser, photo: bytes) -> None:
    prediction_id = stored(state, user, photo)
    before = predictions.find(prediction_id)
    sweep.sweep()
    assert predictions.find(prediction_id) == before
    assert answers(user) == []
