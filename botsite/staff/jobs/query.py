"""Query jobs a page at a time, newest first, by index: at most two queries for any page, and never a scan.

What was refused is told from what failed by reasons, which no index has: a hundred of them are read at once.

An export or a bulk run walks through all that match in the same way; counting stops after some thousands.

Pages have no numbers: a cursor names the job a page continues from, and the direction. It is signed together with the
filters, because it becomes a key in a DynamoDB query.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.core import signing

from botsite import aws
from botsite.staff.jobs.filters import Filters, JobState
from botsite.staff.pages import BadLink
from detection.record import items, queries

PAGE_LENGTH = 50
# A filter without an index is applied to what is read here: a page may then be short, but never expensive.
_READ_AT_MOST = 500
_QUERIES_AT_MOST = 2
# DynamoDB reads this many items of 500 bytes in one query; what counts asks this often.
_COUNTED_AT_ONCE, _COUNTS_AT_MOST = 1000, 10
# The most that can be looked up at once (rows.py).
WALKED_AT_ONCE = 100
Way = Literal["older", "newer"]
Key = dict[str, Any]
_OPPOSITE: dict[Way, Way] = {"older": "newer", "newer": "older"}


class BadCursor(BadLink):
    """The cursor belongs to another list or another site, or was made up."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the cursors of the pages before and after. `searched_to`: where a search paused."""

    rows: tuple[items.Row, ...]
    newer: str | None
    older: str | None
    searched_to: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The number of jobs that match, or a lower limit unless it is `exact`."""

    number: int
    exact: bool


def page(filters: Filters, cursor: str = "") -> Page:
    """Return the page at the cursor, or the first page. Raise BadCursor if the cursor belongs to another list."""
    first: tuple[Way, Key | None] = ("older", None)
    way, start = _read_cursor(filters, cursor) if cursor else first
    found, rest = _search(filters, way == "older", start)
    more = len(found) > PAGE_LENGTH
    rows = [items.row(item) for item in found[:PAGE_LENGTH]]
    end = _position(found[PAGE_LENGTH - 1]) if more else rest
    # The page we came from exists for sure.
    begin = _position(found[0]) if start and rows else None
    before = _cursor(filters, _OPPOSITE[way], begin)
    after = _cursor(filters, way, end)
    searched_to = rest["created_at"] if rest and not more else None
    if way == "older":
        return Page(tuple(rows), newer=before, older=after, searched_to=searched_to)
    return Page(tuple(reversed(rows)), newer=after, older=before, searched_to=searched_to)


def walk(filters: Filters, *, oldest_first: bool = False, start: Key | None = None) -> Iterator[list[items.Row]]:
    """Yield all jobs that match, WALKED_AT_ONCE or fewer at a time, behind the position `start`."""
    while True:
        answer = _query(filters, not oldest_first, start, _READ_AT_MOST if filters.searching else WALKED_AT_ONCE)
        found = [items.row(item) for item in answer["Items"]]
        for first in range(0, len(found), WALKED_AT_ONCE):
            yield found[first : first + WALKED_AT_ONCE]
        if not (last := answer.get("LastEvaluatedKey")):
            return
        start = _position(last)


def count(filters: Filters) -> Count:
    """Count the jobs that match, up to some thousands: ten queries at most, and the reasons of what they find."""
    number, start = 0, None
    select = {} if filters.by_reason else {"Select": "COUNT"}
    for _ in range(_COUNTS_AT_MOST):
        answer = _query(filters, False, start, _COUNTED_AT_ONCE, **select)
        number += answer["Count"]
        if not (last := answer.get("LastEvaluatedKey")):
            return Count(number, exact=True)
        start = _position(last)
    return Count(number, exact=False)


def position(row: items.Row) -> Key:
    """Return the position of a job, for `walk`."""
    return {"created_at": row.created_at, "prediction_id": row.prediction_id}


def _search(filters: Filters, backwards: bool, start: Key | None) -> tuple[list[dict[str, Any]], Key | None]:
    """Return up to a page of items and one more, and where the search stopped if that was before the end."""
    found: list[dict[str, Any]] = []
    for _ in range(_QUERIES_AT_MOST):
        answer = _query(filters, backwards, start, _READ_AT_MOST if filters.searching else PAGE_LENGTH + 1)
        found += answer["Items"]
        last = answer.get("LastEvaluatedKey")
        start = _position(last) if last else None
        if start is None or len(found) > PAGE_LENGTH:
            break
    return found, start


def _query(filters: Filters, backwards: bool, start: Key | None, limit: int, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = aws.dynamodb().query(
        TableName=settings.PREDICTIONS_TABLE,
        ScanIndexForward=not backwards,
        Limit=limit,
        **filters.query(),
        **({"ExclusiveStartKey": start | filters.partition} if start else {}),
        **more,
    )
    if filters.by_reason:
        found, refused = queries.with_reasons(answer["Items"]), filters.status is JobState.REFUSED
        answer["Items"] = [item for item in found if items.refused(item) is refused]
        answer["Count"] = len(answer["Items"])
    return answer


def _position(item: Key) -> Key:
    return {"created_at": item["created_at"], "prediction_id": item["prediction_id"]}


def _cursor(filters: Filters, way: Way, position: Key | None) -> str | None:
    if position is None:
        return None
    return signing.dumps([way, position["created_at"], position["prediction_id"]], salt=_salt(filters))


def _read_cursor(filters: Filters, cursor: str) -> tuple[Way, Key]:
    try:
        way, created_at, prediction_id = signing.loads(cursor, salt=_salt(filters))
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor(
            "This link belongs to another list, or was changed. Start again from the list of all jobs."
        ) from error
    return way, {"created_at": created_at, "prediction_id": prediction_id}


def _salt(filters: Filters) -> str:
    return f"jobs {filters.address()}"
