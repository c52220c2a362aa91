"""Lists of jobs with their small pictures, straight from DynamoDB: filtered, a page at a time, or complaints."""

from datetime import timedelta
from hashlib import sha256

from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_GET

from botsite.staff import access, pages
from botsite.staff.jobs import bulk, filters, operations, query, rows
from botsite.staff.jobs.filters import Filters, JobState
from botsite.staff.jobs.operations import Operation
from detection.picture import thumbnails
from detection.record import feedback, images, items, predictions, times
from detection.record.schemas import Delivery

FEEDBACK_AT_MOST = 100
# Of a small picture: its sender may have everything deleted.
_KEPT = "private, no-cache"
_RANGES = {"Last hour": timedelta(hours=1), "Last 24 hours": timedelta(days=1), "Last 7 days": timedelta(days=7)}


@require_GET
@access.needs("view")
def list_feedback(request: HttpRequest) -> HttpResponse:
    """Show the answers that people say something is wrong with, newest first, as far as their photos are kept."""
    found = [items.row({"prediction_id": each}) for each in feedback.newest(FEEDBACK_AT_MOST)]
    lines = [line for line in rows.lines(found) if line.created_at]
    return pages.render(request, "feedback", {"title": "Feedback", "lines": lines})


@access.needs("view")
def list_jobs(request: HttpRequest) -> HttpResponse:
    """Show a page of jobs, or go to the one whose id is searched for."""
    given = request.GET.dict()
    wanted, cursor = given.pop("q", "").strip(), given.pop("cursor", "")
    if wanted and predictions.find_item(wanted) is not None:
        return HttpResponseRedirect(reverse("admin:detection_job_change", args=[quote(wanted)]))
    chosen = filters.from_query(given)
    page = query.page(chosen, cursor)
    context = {
        "title": "Jobs",
        "page": page,
        "lines": rows.lines(page.rows),
        "chosen": chosen,
        "since": filters.clock(chosen.since),
        "until": filters.clock(chosen.until),
        "wanted": wanted,
        "choices": {
            "Status": _choices(chosen, "status", JobState),
            "Delivery": _choices(chosen, "delivery", Delivery),
            "Time": _ranges(chosen),
        },
        "operations": operations.allowed(request.user),
        "for_all": _for_all(request, chosen),
    }
    return pages.render(request, "jobs", context, 404 if wanted else 200)


def _for_all(request: HttpRequest, chosen: Filters) -> list[Operation]:
    """Return what the operator may do to all that match."""
    return [each for each in operations.allowed(request.user) if each.name in bulk.offered(chosen)]


def _choices(chosen: Filters, name: str, values: type[JobState] | type[Delivery]) -> list[tuple[str, str, bool]]:
    """Return (label, address, whether it is chosen) for each value of a filter."""
    current = getattr(chosen, name)
    everything = ("All", chosen.address(**{name: None}), current is None)
    return [
        everything,
        *((each.value.capitalize(), chosen.address(**{name: each}), current is each) for each in values),
    ]


def _ranges(chosen: Filters) -> list[tuple[str, str, bool]]:
    """Return the same for ranges of time that end now; a chosen one is in the form's fields."""
    minute = times.now().replace(second=0, microsecond=0)
    everything = ("All", chosen.address(since=None, until=None), not (chosen.since or chosen.until))
    return [
        everything,
        *((name, chosen.address(since=minute - length, until=None), False) for name, length in _RANGES.items()),
    ]


def show_picture(request: HttpRequest, prediction_id: str) -> HttpResponseBase:
    """Return the small picture of a job, or lead to a grey one if its boxed photo is gone or has none.

    It is cut out of the boxed photo, which a worker put it into, and never decoded. One costs a read of 16 KB from S3
    each time it is shown: a browser keeps it, but asks whether it is still there.
    """
    response = _picture(request, unquote(prediction_id))
    if not isinstance(response, HttpResponse) or response.status_code != 200:
        return response
    # Instead of what every other page of the staff gets.
    response["Cache-Control"] = _KEPT
    del response["Expires"]
    response["ETag"] = quote_etag(sha256(response.content).hexdigest())
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


@require_GET
@access.needs("view")
def _picture(request: HttpRequest, prediction_id: str) -> HttpResponseBase:
    head = images.head(f"results/{prediction_id}.jpg", thumbnails.HEAD_BYTES)
    small = thumbnails.read(head) if head else None
    if small is None:
        return HttpResponseRedirect(static("staff/no_picture.svg"))
    return HttpResponse(small, content_type="image/jpeg")
