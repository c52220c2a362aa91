"""Export the jobs that match as CSV or JSON: a hundred at a time, as fast as the browser takes them.

If AWS interrupts a download, it ends as a failed one, and JSON lacks its last bracket: half a file doesn't pass for an
export.
"""

import csv
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from io import StringIO

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from botsite.staff import access, audit
from botsite.staff.jobs import filters, query, rows
from botsite.staff.jobs.rows import JobLine
from botsite.threads import in_thread
from detection.record import items, times

COLUMNS = (
    "prediction_id", "created_at", "state", "delivery", "chat_id", "found", "error", "waited_ms", "attempts",
    "inference_ms",
)  # fmt: skip
# A spreadsheet takes this for a formula, unless it is a plain number, such as the id of a group.
_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@require_GET
@access.needs("view")
def as_csv(request: HttpRequest) -> HttpResponseBase:
    """Stream what matches as CSV, the columns' names first."""
    return _download(request, "csv", "text/csv; charset=utf-8", _csv_lines)


@require_GET
@access.needs("view")
def as_json(request: HttpRequest) -> HttpResponseBase:
    """Stream what matches as one JSON array."""
    return _download(request, "json", "application/json", _json_lines)


def cell(value: object) -> str:
    """Return a value for a spreadsheet, which must not compute it."""
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


Pages = AsyncIterator[Sequence[JobLine]]


def _download(
    request: HttpRequest, kind: str, content_type: str, write: Callable[[Pages], AsyncIterator[str]]
) -> HttpResponseBase:
    chosen = filters.from_query(request.GET.dict())
    audit.attempt(request, "export", filters=chosen.address())
    # The first query is made here, where its error still becomes a page.
    pages = query.walk(chosen)
    first = next(pages, [])
    response = StreamingHttpResponse(write(_read(first, pages)), content_type=content_type)
    name = f"jobs-{times.now():%Y%m%d-%H%M%S}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


async def _read(first: list[items.Row], pages: Iterator[list[items.Row]]) -> Pages:
    found = first
    while found:
        yield await in_thread(rows.lines)(found)
        found = await in_thread(next)(pages, [])


async def _csv_lines(pages: Pages) -> AsyncIterator[str]:
    yield _csv([COLUMNS])
    async for lines in pages:
        yield _csv([[cell(getattr(line, name)) for name in COLUMNS] for line in lines])


def _csv(cells: Sequence[Sequence[str]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(cells)
    return text.getvalue()


async def _json_lines(pages: Pages) -> AsyncIterator[str]:
    before = "[\n"
    async for lines in pages:
        yield before + ",\n".join(
            json.dumps({name: getattr(line, name) for name in COLUMNS}, ensure_ascii=False) for line in lines
        )
        before = ",\n"
    yield "\n]\n" if before != "[\n" else "[]\n"
