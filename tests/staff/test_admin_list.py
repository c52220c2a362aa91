"""The list of jobs: each job once, newest first, at most two queries a page; invalid links get an error page."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws
from botsite.staff.jobs import filters, query
from botsite.staff.jobs.filters import Filters, JobState
from botsite.staff.jobs.query import Page
from deploy.local.stack import LocalStack
from detection.record import items, times
from detection.record.schemas import Delivery, Prediction, Status
from tests.support import operators
from tests.support.operators import JOBS, Operator

DAY = date(2026, 1, 2)
OF_DAY = filters.from_query({"day": str(DAY)})
RANGE: dict[str, Any] = {"since": OF_DAY.since, "until": OF_DAY.until}
_chats = count(300_000)


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture(scope="module")
def chat(stack: LocalStack) -> int:
    """Return a chat with 120 jobs of one day, every third failed, and one of the day before."""
    chat = next(_chats)
    _store(chat, "2026-01-01T23:59:59.999Z", Status.SUCCEEDED)
    for number in range(120):
        at = f"{DAY}T00:{number // 60:02}:{number % 60:02}.000Z"
        _store(chat, at, Status.SUCCEEDED if number % 3 else Status.FAILED)
    return chat


@pytest.fixture
def asked(stack: LocalStack) -> Iterator[list[str]]:
    """Return the DynamoDB operations called from now on."""
    operations: list[str] = []
    events = aws.dynamodb().meta.events

    def note(model: Any, **rest: Any) -> None:
        operations.append(model.name)

    events.register("before-call.dynamodb", note)
    yield operations
    events.unregister("before-call.dynamodb", note)


def _store(chat: int, at: str, status: Status) -> str:
    """Store a job that is done: the sweep leaves it alone."""
    identity = uuid4().hex
    prediction = Prediction(
        identity, chat, 1, f"photos/{identity}", status, Delivery.DELIVERED, created_at=times.read(at)
    )
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=items.write(prediction))
    return identity


def _walk(chosen: Filters) -> list[Page]:
    pages = [query.page(chosen)]
    while older := pages[-1].older:
        pages.append(query.page(chosen, older))
    return pages


@pytest.mark.parametrize(("narrow", "jobs"), [({}, 121), ({"status": JobState.FAILED}, 40), (RANGE, 120)])
def test_paging_shows_every_job_once_newest_first(chat: int, narrow: dict[str, Any], jobs: int) -> None:
    chosen = Filters(chat=chat, **narrow)
    there = _walk(chosen)
    rows = [row for page in there for row in page.rows]
    assert len({row.prediction_id for row in rows}) == len(rows) == jobs
    assert [row.created_at for row in rows] == sorted((row.created_at for row in rows), reverse=True)
    back = there[-1]
    for page in reversed(there[:-1]):
        back = query.page(chosen, back.newer or "")
        assert back.rows == page.rows


def test_page_costs_one_query_or_two_without_index(chat: int, asked: list[str]) -> None:
    pages = [*_walk(Filters(chat=chat)), query.page(Filters()), query.page(Filters(status=JobState.SUCCEEDED))]
    assert asked == ["Query"] * len(pages)
    asked.clear()
    query.page(Filters(status=JobState.REFUSED))
    assert (asked.count("Query") <= 2, set(asked)) == (True, {"Query", "BatchGetItem"})
    asked.clear()
    _walk(Filters(JobState.QUEUED, Delivery.PENDING, **RANGE))
    assert set(asked) == {"Query"}


def test_search_without_results_pauses_and_continues(
    chat: int, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "_READ_AT_MOST", 10)
    chosen = Filters(chat=chat, status=JobState.QUEUED)
    page = query.page(chosen)
    assert (page.rows, len(asked), bool(page.searched_to)) == ((), 2, True)
    assert [page.rows for page in _walk(chosen)] == [()] * 7


@pytest.mark.parametrize(
    ("chosen", "index", "compared"),
    [
        (Filters(), "by_time", set()),
        (OF_DAY, "by_time", set()),
        (Filters(chat=1, status=JobState.FAILED, delivery=Delivery.PENDING), "by_chat", {"status", "delivery"}),
        (Filters(status=JobState.SUCCEEDED), "by_status", set()),
        (Filters(status=JobState.SUCCEEDED, delivery=Delivery.UNDELIVERABLE), "by_delivery", {"status"}),
        (Filters(status=JobState.FAILED, delivery=Delivery.DELIVERED), "by_status", {"delivery"}),
        (Filters(status=JobState.REFUSED), "by_status", set()),
    ],
)
def test_smallest_index_is_queried(chosen: Filters, index: str, compared: set[str]) -> None:
    assert (chosen.query()["IndexName"], set(chosen.narrowing)) == (index, compared)


def test_index_item_with_only_its_key_becomes_row() -> None:
    row = items.row({"prediction_id": "p", "created_at": "2026-11-24T00:00:00.000Z"})
    assert (row.prediction_id, row.status, row.error) == ("p", "", "")


def test_address_round_trips_through_filters() -> None:
    since, until = datetime(2026, 1, 2, 8, 30, tzinfo=UTC), datetime(2026, 1, 2, 9, 0, 7, tzinfo=UTC)
    for chosen in (Filters(JobState.REFUSED, Delivery.PENDING, -1001, since, until), OF_DAY):
        assert filters.from_address(chosen.address()) == chosen


def test_list_is_filtered_and_paged(admin: Operator, chat: int) -> None:
    first = admin.get(f"{JOBS}?chat={chat}&status=&q=&day=")
    assert first.text.count('name="id"') == 50
    older = first.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = admin.get(JOBS + older)
    assert second.text.count('name="id"') == 50
    assert 'rel="prev"' in second.text


def test_job_is_found_by_id(admin: Operator, chat: int) -> None:
    identity = query.page(Filters(chat=chat)).rows[0].prediction_id
    found = admin.get(f"{JOBS}?q={identity}")
    assert (found.status_code, found.headers["location"]) == (302, f"{JOBS}{identity}/change/")
    unknown = admin.get(f"{JOBS}?q=nobody")
    assert (unknown.status_code, "No job has the id nobody" in unknown.text) == (404, True)


@pytest.mark.parametrize(
    "query",
    [
        "status=done",
        "delivery=x",
        "chat=seven",
        f"chat={10**30}",
        "day=2026-02-30",
        "day=tomorrow",
        "since=yesterday",
        "until=0001-01-01T00:00%2B10:00",
        "status__exact=failed",
        "cursor=made-up",
        "cursor=WyJvbGRlciIsImEiLCJiIl0:1xVv7T:0000",
    ],
)
def test_tampered_address_gives_error_page(admin: Operator, query: str) -> None:
    page = admin.get(f"{JOBS}?{query}")
    assert (page.status_code, "errornote" in page.text) == (400, True)


def test_cursor_of_another_list_is_rejected(admin: Operator, chat: int) -> None:
    cursor = query.page(Filters(chat=chat)).older
    assert admin.get(f"{JOBS}?chat={chat}&cursor={cursor}").status_code == 400  # Signed with another site's key.
    of_site = admin.get(f"{JOBS}?chat={chat}").text.split("cursor=")[1].split('"')[0]
    assert admin.get(f"{JOBS}?chat={chat}&cursor={of_site}").status_code == 200
    assert admin.get(f"{JOBS}?chat={chat + 1}&cursor={of_site}").status_code == 400
