"""A paused service keeps what comes, does nothing with it, gives nothing up, and answers each photo once afterwards."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws, pause
from botsite.bot.words import replies
from botsite.pause import Pause
from botsite.roles import YOLO5
from deploy.local import roles
from deploy.local.processes import Child
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramUser
from detection.record import images, predictions, queries, times
from detection.record.schemas import Delivery, Prediction, Status
from detection.work import sweep, tasks
from tests.support import letters, new_updates
from tests.support.faulty import FaultySite, failing, through
from tests.support.processes import wait_until
from tests.support.provisioning import look, run

WHO = "arn:aws:iam::000000000000:user/ann"
A_DAY_AGO = timedelta(days=-1, minutes=-1)
# How long every process of the service may go on with what it knows.
KNOWN_FOR_SECONDS = pause.KNOWN_FOR_SECONDS


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process look at the table each time."""
    monkeypatch.setattr(pause, "KNOWN_FOR_SECONDS", 0.0)
    monkeypatch.setattr(pause, "_known", pause._Known())


@pytest.fixture
def table(stack: LocalStack) -> Iterator[str]:
    """Return the table of the service, which is not paused afterwards."""
    yield stack.env["PREDICTIONS_TABLE"]
    with known(stack):
        pause.end(stack.env["PREDICTIONS_TABLE"])


@pytest.fixture
def paused(stack: LocalStack, table: str) -> Pause:
    """Pause the service, and wait until all of its processes know."""
    with known(stack, paused=True):
        return pause.begin(table, WHO)[0]


@contextmanager
def known(stack: LocalStack, *, paused: bool = False) -> Iterator[None]:
    """Wait at the end of the block until the worker has noticed what was done, and what others know is too old."""
    yield
    too_old = time.monotonic() + KNOWN_FOR_SECONDS
    wait_until(lambda: time.monotonic() > too_old and stands_still(stack) == paused)


def stands_still(stack: LocalStack) -> bool:
    """Return whether the worker knows of a pause."""
    return logged(stack, "yolo5-1", "service_paused") > logged(stack, "yolo5-1", "service_resumed")


def logged(stack: LocalStack, name: str, event: str) -> int:
    """Return how often a process has logged an event."""
    log = stack.folder / "logs" / f"{name}.log"
    return log.read_text().count(f'"event": "{event}"') if log.exists() else 0


def waiting(user: TelegramUser, photos: int) -> list[Prediction]:
    """Return the predictions of a chat once so many of its photos wait for a worker."""

    def found() -> list[Prediction] | None:
        there = [predictions.find(one) for one in queries.latest_of_chat(user.chat_id)]
        ready = [one for one in there if one and one.enqueued_at]
        return ready if len(ready) == photos else None

    waits = wait_until(found)
    assert waits
    return waits


def told(user: TelegramUser) -> list[str | None]:
    """Return the texts that the bot has sent to a chat."""
    return [message.text for message in user.messages() if message.from_bot and message.text]


def answers(user: TelegramUser) -> list[int]:
    """Return the messages that the bot has answered, each as often as it did."""
    found = [message.in_reply_to or message.reply_to for message in user.messages() if message.from_bot]
    return sorted(one for one in found if one is not None)


def change(prediction: Prediction, **attributes: str | int) -> None:
    """Set attributes of an item."""
    names = {f"#{name}": name for name in attributes}
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": prediction.prediction_id},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={f":{name}": value for name, value in attributes.items()},
    )


def upkeep() -> None:
    """Sweep and bury; the service's own metric may have its turn just now."""
    wait_until(sweep.sweep)
    wait_until(sweep.bury)


# --- The live service ---------------------------------------------------------------------------------------


def test_photos_wait_and_are_answered_once(stack: LocalStack, table: str, user: TelegramUser, photo: bytes) -> None:
    with known(stack, paused=True):
        assert "paused by root since" in run("pause")
    sent = user.send_album([photo, photo, photo])
    assert {one.status for one in waiting(user, 3)} == {Status.QUEUED}
    wait_until(lambda: told(user))
    # Another file's job that failed may come back meanwhile, and waits too.
    wait_until(lambda: json.loads(look("status", "--json"))["pause"].get("waiting", 0) >= 3)
    assert (told(user), answers(user)) == ([replies.PAUSED], [])
    assert int(re.findall(r"(\d+) photos wait", run("resume"))[0]) >= 3
    for message_id in sent:
        user.wait_for_reply(message_id)
    wait_until(lambda: all(one.delivery is Delivery.DELIVERED for one in waiting(user, 3)))
    assert (told(user), answers(user)) == ([replies.PAUSED], sorted(sent))


def test_chat_is_told_again_of_next_pause(stack: LocalStack, table: str, user: TelegramUser) -> None:
    first, second = Pause(WHO, times.now()), Pause(WHO, times.now(timedelta(hours=1)))
    asked = [pause.first_of_chat(user.chat_id, one) for one in (first, first, second, second)]
    assert asked == [True, False, True, False]


@pytest.mark.slow
def test_restarted_site_tells_nobody_twice(
    stack: LocalStack, paused: Pause, site: FaultySite, user: TelegramUser, known_file: FileReference, photo: bytes
) -> None:
    user.send_photo(photo)
    waiting(user, 1)
    wait_until(lambda: told(user))
    update = new_updates.with_photo(user.chat_id, known_file)
    assert site.post(update) == 200
    waiting(user, 2)
    assert (told(user), answers(user)) == ([replies.PAUSED], [])
    pause.end(settings.PREDICTIONS_TABLE)
    wait_until(lambda: all(one.delivery is Delivery.DELIVERED for one in waiting(user, 2)))
    assert len([message for message in user.messages() if message.from_bot and message.photo]) == 2


@pytest.mark.slow
def test_restarted_worker_receives_nothing(stack: LocalStack, paused: Pause, user: TelegramUser, photo: bytes) -> None:
    user.send_photo(photo)
    waiting(user, 1)
    name = f"yolo5-{uuid4().hex[:6]}"
    env = stack.env | {"LIVENESS_FILE": str(stack.folder / name)}
    worker: Child = stack.children.start(name, roles.celery(YOLO5, name), env)
    try:
        wait_until(lambda: logged(stack, name, "service_paused"))
        assert waiting(user, 1)[0].status is Status.QUEUED
    finally:
        worker.terminate()
        worker.wait()
    assert (logged(stack, name, "job_started"), worker.running) == (0, False)


# --- A day ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dropped", [False, True], ids=["jobs-wait", "jobs-dropped-by-sqs"])
def test_nothing_is_lost_in_a_day(
    stack: LocalStack, paused: Pause, user: TelegramUser, photo: bytes, dropped: bool
) -> None:
    sent = [user.send_photo(photo) for _ in range(4)]
    waits, put_off, in_work, dead = waiting(user, 4)
    if dropped:
        aws.client("sqs").purge_queue(QueueUrl=settings.JOBS_QUEUE_URL)
    begun = times.text(times.now(A_DAY_AGO))
    for one in (waits, put_off, in_work, dead):
        change(one, created_at=begun, enqueued_at=begun)
    # A worker died in the last try of one, and the job of another has become a dead letter.
    predictions.claim(in_work.prediction_id, "gone")
    change(in_work, started_at=begun, tries=tasks.TRIES_AT_MOST)
    letters.bury(dead)
    upkeep()
    statuses = {one.status for one in waiting(user, 4)}
    assert (statuses, answers(user)) == ({Status.QUEUED, Status.PROCESSING}, [])
    letters.clear()
    change(in_work, tries=1)
    pause.end(settings.PREDICTIONS_TABLE)
    wait_until(sweep.sweep)
    for message_id in sent:
        user.wait_for_reply(message_id)
    upkeep()
    wait_until(lambda: all(one.delivery is Delivery.DELIVERED for one in waiting(user, 4)))
    assert {one.status for one in waiting(user, 4)} == {Status.SUCCEEDED}
    assert answers(user) == sorted(sent)


@pytest.mark.slow
def test_photo_without_job_gets_one_meanwhile(
    stack: LocalStack, paused: Pause, user: TelegramUser, photo: bytes
) -> None:
    identity = uuid4().hex
    prediction = Prediction(identity, user.chat_id, user.send_text("hello"), f"photos/{identity}")
    images.put(prediction.image_key, photo, "image/jpeg")
    predictions.create(prediction)
    change(prediction, created_at=times.text(times.now(A_DAY_AGO)))
    wait_until(sweep.sweep)
    assert waiting(user, 1)[0].status is Status.QUEUED


# --- The state --------------------------------------------------------------------------------------------


def test_first_pause_counts(stack: LocalStack, table: str) -> None:
    first, new = pause.begin(table, WHO)
    again, newer = pause.begin(table, "arn:aws:iam::000000000000:user/bob")
    assert (new, newer) == (True, False)
    assert again.by == first.by == WHO
    assert abs(again.since - first.since) < timedelta(milliseconds=1)
    assert pause.end(table) == again
    assert pause.end(table) is None


@pytest.mark.slow
def test_pause_with_lost_reply_is_new(table: str, site: FaultySite) -> None:
    site.break_(failing("dynamodb", "PutItem", "reply lost") | {"times": 1})
    with through(site):
        assert pause.begin(table, WHO)[1]


def test_unreadable_table_changes_nothing(stack: LocalStack, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pause.current() is None
    made, _ = pause.begin(table, WHO)
    known = pause.current()
    assert known
    assert known.by == made.by
    monkeypatch.setattr(settings, "PREDICTIONS_TABLE", "no-such-table")
    assert pause.current() == known
    monkeypatch.setattr(pause, "_known", pause._Known())
    assert pause.current() is None


def test_item_by_hand_pauses_too(stack: LocalStack, table: str) -> None:
    aws.dynamodb().put_item(TableName=table, Item={"prediction_id": "pause#service", "paused_at": "today"})
    found = pause.read(table)
    assert found
    assert found.by == "somebody"


def test_text_has_the_day_only_where_needed() -> None:
    now = datetime.now(UTC)
    assert str(Pause(WHO, now)) == f"paused by user/ann since {now:%H:%M} UTC"
    before = now - timedelta(days=2)
    assert str(Pause(WHO, before)) == f"paused by user/ann since {before:%Y-%m-%d %H:%M} UTC"
