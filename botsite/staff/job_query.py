"""Query jobs a page at a time, newest first, by index: at most two queries for any page, and never a scan.

Pages have no numbers: a cursor names the job a page continues from, and the direction. It is signed together with the
filters, because it becomes a key in a DynamoDB query.
"""

from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.core import signing

from botsite import aws
from botsite.staff.job_filters import Filters
from detection import items

PAGE_LENGTH = 50
# A filter without an index is applied to what is read here: a page may then be short, but never expensive.
_READ_AT_MOST = 500
_QUERIES_AT_MOST = 2
Way = Literal["older", "newer"]
Key = dict[str, Any]
_OPPOSITE: dict[Way, Way] = {"older": "newer", "newer": "older"}


class BadCursor(ValueError):
    """The cursor belongs to another list or another site, or was made up."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the cursors of the pages before and after. `searched_to`: where a search paused."""

    rows: tuple[items.Row, ...]
    newer: str | None
    older: str | None
    searched_to: str | None = None


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


def _search(filters: Filters, backwards: bool, start: Key | None) -> tuple[list[dict[str, Any]], Key | None]:
    """Return up to a page of items and one more, and where the search stopped if that was before the end."""
    found: list[dict[str, Any]] = []
    for _ in range(_QUERIES_AT_MOST):
        answer = aws.dynamodb().query(
            TableName=settings.PREDICTIONS_TABLE,
            ScanIndexForward=not backwards,
            Limit=_READ_AT_MOST if filters.searching else PAGE_LENGTH + 1,
            **filters.query(),
            **({"ExclusiveStartKey": start | filters.partition} if start else {}),
        )
        found += answer["Items"]
        last = answer.get("LastEvaluatedKey")
        start = _position(last) if last else None
        if start is None or len(found) > PAGE_LENGTH:
            break
    return found, start


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
