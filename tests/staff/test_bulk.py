"""Something is done to all jobs that match: previewed, counted, stopped, continued, and to no job twice."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from django.conf import settings

from botsite import aws
from botsite.staff.jobs import bulk, bulk_run, bulk_runner, query
from botsite.staff.jobs.bulk_run import BulkRun, Phase
from botsite.staff.jobs.bulk_runner import Runner
from botsite.staff.jobs.filters import Filters, JobState
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramUser
from detection.record import images, items, predictions, times
from detection.record.reasons import Reason
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import Code
from detection.work import operations
from tests.support import operators
from tests.support.operators import JOBS, Operator
from tests.support.processes import wait_until

ALL = f"{JOBS}all/"
_chats = count(510_000)


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture(autouse=True)
def no_run(stack: LocalStack) -> Iterator[None]:
    """Forget the last run, before and after."""
    predictions.delete("bulk#jobs")
    yield
    predictions.delete("bulk#jobs")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a runner wait for nothing, and record each job."""
    monkeypatch.setattr(bulk_runner, "PER_SECOND", 1e9)
    monkeypatch.setattr(bulk_runner, "_RECORDED_EVERY_SECONDS", 0.0)


def _store(chat: int, number: int, code: Code = Code.GIVEN_UP) -> str:
    """Store a job that failed, and whose sender was told."""
    identity, at = uuid4().hex, times.read(f"2026-01-04T00:00:{number:02}.000Z")
    prediction = Prediction(
        identity, chat, 1, f"photos/{identity}", Status.FAILED, Delivery.DELIVERED, created_at=at, delivered_at=at,
        finished_at=at, reason=Reason(code), photo_bytes=1,
    )  # fmt: skip
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=items.write(prediction))
    return identity


@pytest.fixture
def chat(stack: LocalStack) -> int:
    """Return a chat with five failed jobs and a refused file."""
    chat = next(_chats)
    for number in range(5):
        _store(chat, number)
    _store(chat, 9, Code.NO_IMAGE)
    return chat


def _run(chat: int) -> BulkRun:
    now = times.now()
    begun = bulk_run.begin(BulkRun("retry", Filters(JobState.FAILED, chat=chat).address(), "ada", 5, True, now, now))
    assert begun is not None
    return begun


def _found() -> BulkRun:
    found = bulk_run.find()
    assert found is not None
    return found


def _ids(chat: int) -> list[str]:
    rows = next(query.walk(Filters(JobState.FAILED, chat=chat), oldest_first=True))
    return [row.prediction_id for row in rows]


def test_all_failed_jobs_of_a_chat_are_retried_and_answered(
    admin: Operator, stack: LocalStack, user: TelegramUser, photo: bytes
) -> None:
    ids = [_store(user.chat_id, number) for number in range(3)]
    for each in ids:
        images.put(f"photos/{each}", photo, "image/jpeg")
    gone = _store(user.chat_id, 5)
    address = admin.get(f"{JOBS}retry/all/?chat={user.chat_id}").headers["location"]
    asked = admin.get(address).text
    assert "4 jobs match. Process their photos again" in asked
    assert [each for each in ids if each not in asked] == []
    assert admin.post(address).headers["location"] == ALL
    wait_until(lambda: _found().phase is Phase.FINISHED)
    assert (_found().done, _found().skipped, _found().operator) == (3, 1, "admin")
    wait_until(lambda: len([each for each in user.messages() if each.from_bot and each.photo]) == 3)
    first = predictions.find(ids[0])
    assert first is not None
    assert [(act.operation, act.operator) for act in first.acts] == [("retry", "admin")]
    page = admin.get(ALL).text
    assert "3 of 4 done, 1 skipped. The last one: its photo is gone" in page
    predictions.delete(gone)


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (Filters(), []),
        (Filters(chat=1), ["retry", "resend"]),
        (Filters(JobState.FAILED), ["retry", "resend"]),
        (Filters(JobState.SUCCEEDED), ["resend"]),
        (Filters(JobState.QUEUED), ["retry"]),
        (Filters(delivery=Delivery.UNDELIVERABLE), ["retry", "resend"]),
    ],
)
def test_bulk_operations_are_offered_by_filter(chosen: Filters, names: list[str]) -> None:
    assert bulk.offered(chosen) == names


def test_preview_means_neither_refused_files_nor_later_jobs(admin: Operator, chat: int) -> None:
    address = admin.get(f"{JOBS}retry/all/?chat={chat}").headers["location"]
    assert ("status=failed" in address, "until=" in address) == (True, True)
    aws.dynamodb().put_item(
        TableName=settings.PREDICTIONS_TABLE,
        Item=items.write(
            Prediction(uuid4().hex, chat, 1, "x", Status.FAILED, created_at=times.now(timedelta(hours=1)))
        ),
    )
    assert "5 jobs match." in admin.get(address).text
    assert admin.get(f"{JOBS}retry/all/").status_code == 302
    assert admin.get(f"{JOBS}delete/all/?chat={chat}").status_code == 404


def test_count_stops_at_its_limit(chat: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Filters(JobState.FAILED, chat=chat)
    assert query.count(chosen) == query.Count(5, exact=True)
    monkeypatch.setattr(query, "_COUNTED_AT_ONCE", 1)
    monkeypatch.setattr(query, "_COUNTS_AT_MOST", 3)
    assert query.count(chosen) == query.Count(3, exact=False)


def test_stopped_run_continues_where_it_stands(chat: int, fast: None) -> None:
    had: list[str] = []

    def operate(prediction_id: str) -> None:
        had.append(prediction_id)
        if len(had) == 2:
            bulk_run.stop()

    Runner(_run(chat), operate).work()
    assert (_found().phase, _found().done, _found().can_continue) == (Phase.STOPPED, 2, True)
    taken_up = bulk_run.begin(_found())
    assert taken_up is not None
    Runner(taken_up, operate).work()
    assert (_found().phase, _found().done, had) == (Phase.FINISHED, 5, _ids(chat))


def test_only_one_run_goes_on(admin: Operator, chat: int) -> None:
    first = _run(chat)
    assert bulk_run.begin(first) is None
    address = admin.get(f"{JOBS}resend/all/?chat={chat}").headers["location"]
    admin.post(address)
    assert "Nothing was begun: another one is going on." in admin.get(ALL).text
    assert (_found().operation, _found().holder) == ("retry", first.holder)


def test_run_of_a_stopped_site_is_shown_as_ended(admin: Operator, chat: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(chat)
    monkeypatch.setattr(bulk_run, "SILENT", timedelta(seconds=-1))
    assert (_found().silent, _found().can_continue) == (True, True)
    aws.dynamodb().update_item(
        TableName=settings.PREDICTIONS_TABLE,
        Key={"prediction_id": "bulk#jobs"},
        UpdateExpression="SET seen_at = :old",
        ExpressionAttributeValues={":old": times.text(times.now(-timedelta(minutes=5)))},
    )
    page = admin.get(ALL).text
    assert "when its site stopped" in page
    assert 'value="Continue"' in page
    # Its runner was only slow: it finds that it has been taken over.
    assert bulk_run.begin(run) is not None
    assert not bulk_run.record(run)


def test_no_job_has_its_turn_twice(chat: int, fast: None) -> None:
    run = _run(chat)
    predictions.reopen(_ids(chat)[0])
    had: list[str] = []
    Runner(run, had.append).work()
    assert (len(had), _found().done) == (4, 4)
    for row in next(query.walk(Filters(JobState.QUEUED, chat=chat))):
        predictions.delete(row.prediction_id)


def test_refusals_are_counted_with_the_last_reason(chat: int, fast: None) -> None:
    def refuse(prediction_id: str) -> None:
        raise operations.NotAllowed("it makes no sense")

    Runner(_run(chat), refuse).work()
    assert (_found().done, _found().skipped, _found().last_skipped) == (0, 5, "it makes no sense")


def test_defect_skips_a_job(chat: int, fast: None) -> None:
    def fail(prediction_id: str) -> None:
        raise KeyError("x")

    Runner(_run(chat), fail).work()
    assert (_found().phase, _found().skipped, _found().last_skipped) == (Phase.FINISHED, 5, "KeyError('x')")


def test_error_of_aws_ends_a_run_and_is_shown(admin: Operator, chat: int, fast: None) -> None:
    error = ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "SendMessage")

    def fail(prediction_id: str) -> None:
        raise error

    Runner(_run(chat), fail).work()
    assert (_found().phase, _found().why, _found().can_continue) == (Phase.FAILED, str(error), True)
    assert "It ended because of an error" in admin.get(ALL).text


def test_run_ends_after_its_limit(chat: int, fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_runner, "AT_MOST", 3)
    had: list[Any] = []
    Runner(_run(chat), had.append).work()
    assert (len(had), _found().phase) == (3, Phase.FINISHED)


def test_operator_stops_and_continues_a_run(admin: Operator, stack: LocalStack, chat: int) -> None:
    _run(chat)
    assert 'value="Stop"' in admin.get(ALL).text
    token = admin.get(ALL).text.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    admin.send(f"{ALL}stop/", csrfmiddlewaretoken=token)
    item = predictions.find_item("bulk#jobs")
    assert item is not None
    assert item["stop_wanted"]


def test_viewers_start_nothing(stack: LocalStack, chat: int) -> None:
    viewer = operators.staff(stack, "bulk-view", ["view_job"])
    assert viewer.get(f"{JOBS}retry/all/?chat={chat}").status_code == 403
    assert viewer.get(ALL).status_code == 200
    listed = viewer.get(f"{JOBS}?chat={chat}").text
    assert ("retry/all/" in listed, "export.csv" in listed) == (False, True)
