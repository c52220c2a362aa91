"""The list of jobs: each job once, the newest first, at most two queries a page; a made-up address is told so."""

from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from botsite import aws
from botsite.staff import filters, listing
from botsite.staff.filters import Filters
from botsite.staff.listing import Page
from deploy.local.stack import LocalStack
from detection import items, times
from detection.schemas import Delivery, Prediction, Status
from tests.support import operators
from tests.support.operators import JOBS, Operator

DAY = date(2026, 1, 2)
_chats = count(300_000)


@pytest.fixture(scope="module")
def admin(stack: LocalStack) -> Operator:
    return operators.admin(stack)


@pytest.fixture(scope="module")
def chat(stack: LocalStack) -> int:
    """Return a chat with 120 jobs of a day, of which every third failed, and one of the day before."""
    chat = next(_chats)
    _store(chat, "2026-01-01T23:59:59.999Z", Status.SUCCEEDED)
    for number in range(120):
        at = f"{DAY}T00:{number // 60:02}:{number % 60:02}.000Z"
        _store(chat, at, Status.SUCCEEDED if number % 3 else Status.FAILED)
    return chat


@pytest.fixture
def asked(stack: LocalStack) -> Iterator[list[str]]:
    """Return the operations that DynamoDB is asked for from now on."""
    operations: list[str] = []
    events = aws.dynamodb().meta.events

    def note(model: Any, **rest: Any) -> None:
        operations.append(model.name)

    events.register("before-call.dynamodb", note)
    yield operations
    events.unregister("before-call.dynamodb", note)


def _store(chat: int, at: str, status: Status) -> str:
    """Store a job with which everything is over: nobody will sweep it up."""
    identity = uuid4().hex
    prediction = Prediction(
        identity, chat, 1, f"photos/{identity}", status, Delivery.DELIVERED, created_at=times.read(at)
    )
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=items.write(prediction))
    return identity


def _walk(chosen: Filters) -> list[Page]:
    pages = [listing.page(chosen)]
    while older := pages[-1].older:
        pages.append(listing.page(chosen, older))
    return pages


@pytest.mark.parametrize(("narrow", "jobs"), [({}, 121), ({"status": Status.FAILED}, 40), ({"day": DAY}, 120)])
def test_a_walk_there_and_back_meets_every_job_once_the_newest_first(
    chat: int, narrow: dict[str, Any], jobs: int
) -> None:
    chosen = Filters(chat=chat, **narrow)
    there = _walk(chosen)
    rows = [row for page in there for row in page.rows]
    assert len({row.prediction_id for row in rows}) == len(rows) == jobs
    assert [row.created_at for row in rows] == sorted((row.created_at for row in rows), reverse=True)
    back = there[-1]
    for page in reversed(there[:-1]):
        back = listing.page(chosen, back.newer or "")
        assert back.rows == page.rows


def test_each_page_costs_one_query_and_two_where_no_index_has_the_filter(chat: int, asked: list[str]) -> None:
    pages = [*_walk(Filters(chat=chat)), listing.page(Filters()), listing.page(Filters(status=Status.FAILED))]
    assert asked == ["Query"] * len(pages)
    asked.clear()
    _walk(Filters(status=Status.QUEUED, delivery=Delivery.PENDING, day=DAY))
    assert set(asked) == {"Query"}


def test_a_search_that_finds_nothing_pauses_and_goes_on_where_it_was(
    chat: int, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_READ_AT_MOST", 10)
    chosen = Filters(chat=chat, status=Status.QUEUED)
    page = listing.page(chosen)
    assert (page.rows, len(asked), bool(page.searched_to)) == ((), 2, True)
    assert [page.rows for page in _walk(chosen)] == [()] * 7


@pytest.mark.parametrize(
    ("chosen", "index", "compared"),
    [
        (Filters(), "by_time", set()),
        (Filters(day=DAY), "by_time", set()),
        (Filters(chat=1, status=Status.FAILED, delivery=Delivery.PENDING), "by_chat", {"status", "delivery"}),
        (Filters(status=Status.SUCCEEDED), "by_status", set()),
        (Filters(status=Status.SUCCEEDED, delivery=Delivery.UNDELIVERABLE), "by_delivery", {"status"}),
        (Filters(status=Status.FAILED, delivery=Delivery.DELIVERED), "by_status", {"delivery"}),
    ],
)
def test_the_index_that_holds_the_least_is_asked(chosen: Filters, index: str, compared: set[str]) -> None:
    assert (chosen.query()["IndexName"], set(chosen.narrowing)) == (index, compared)


def test_an_index_item_with_nothing_but_its_key_is_a_row() -> None:
    row = items.row({"prediction_id": "p", "created_at": "2026-11-24T00:00:00.000Z"})
    assert (row.prediction_id, row.status, row.error) == ("p", "", "")


def test_an_address_gives_the_filters_it_was_made_from() -> None:
    chosen = Filters(Status.FAILED, Delivery.PENDING, -1001, DAY)
    pairs = dict(pair.split("=") for pair in chosen.address()[1:].split("&"))
    assert filters.read(pairs) == chosen


def test_a_list_is_filtered_and_walked_in_the_pages(admin: Operator, chat: int) -> None:
    first = admin.get(f"{JOBS}?chat={chat}&status=&q=&day=")
    assert first.text.count('name="id"') == 50
    older = first.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = admin.get(JOBS + older)
    assert second.text.count('name="id"') == 50
    assert 'rel="prev"' in second.text


def test_a_job_is_found_by_its_id(admin: Operator, chat: int) -> None:
    identity = listing.page(Filters(chat=chat)).rows[0].prediction_id
    found = admin.get(f"{JOBS}?q={identity}")
    assert (found.status_code, found.headers["location"]) == (302, f"{JOBS}{identity}/change/")
    unknown = admin.get(f"{JOBS}?q=nobody")
    assert (unknown.status_code, "There is no job nobody" in unknown.text) == (404, True)


@pytest.mark.parametrize(
    "query",
    [
        "status=done",
        "delivery=x",
        "chat=seven",
        f"chat={10**30}",
        "day=2026-02-30",
        "day=tomorrow",
        "status__exact=failed",
        "cursor=made-up",
        "cursor=WyJvbGRlciIsImEiLCJiIl0:1xVv7T:0000",
    ],
)
def test_a_tampered_address_is_a_page_that_says_so(admin: Operator, query: str) -> None:
    page = admin.get(f"{JOBS}?{query}")
    assert (page.status_code, "errornote" in page.text) == (400, True)


def test_a_cursor_of_another_list_is_refused(admin: Operator, chat: int) -> None:
    cursor = listing.page(Filters(chat=chat)).older
    assert admin.get(f"{JOBS}?chat={chat}&cursor={cursor}").status_code == 400  # Signed with another site's key.
    of_site = admin.get(f"{JOBS}?chat={chat}").text.split("cursor=")[1].split('"')[0]
    assert admin.get(f"{JOBS}?chat={chat}&cursor={of_site}").status_code == 200
    assert admin.get(f"{JOBS}?chat={chat + 1}&cursor={of_site}").status_code == 400
