"""The list of jobs: filtered, a page at a time, straight from DynamoDB."""

from datetime import timedelta

from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from botsite.staff import access, bulk_pages, job_filters, job_operations, job_query, job_rows, pages
from botsite.staff.job_filters import Filters, State
from botsite.staff.job_operations import Operation
from detection.record import predictions, times
from detection.record.schemas import Delivery

_RANGES = {"Last hour": timedelta(hours=1), "Last 24 hours": timedelta(days=1), "Last 7 days": timedelta(days=7)}


@access.needs("view")
def show(request: HttpRequest) -> HttpResponse:
    """Show a page of jobs, or go to the one whose id is searched for."""
    query = request.GET.dict()
    wanted, cursor = query.pop("q", "").strip(), query.pop("cursor", "")
    if wanted and predictions.find_item(wanted) is not None:
        return HttpResponseRedirect(reverse("admin:detection_job_change", args=[quote(wanted)]))
    chosen = job_filters.read(query)
    page = job_query.page(chosen, cursor)
    context = {
        "title": "Jobs",
        "page": page,
        "lines": job_rows.lines(page.rows),
        "chosen": chosen,
        "since": job_filters.clock(chosen.since),
        "until": job_filters.clock(chosen.until),
        "wanted": wanted,
        "choices": {
            "Status": _choices(chosen, "status", State),
            "Delivery": _choices(chosen, "delivery", Delivery),
            "Time": _ranges(chosen),
        },
        "operations": job_operations.allowed(request.user),
        "for_all": _for_all(request, chosen),
    }
    return pages.render(request, "jobs", context, 404 if wanted else 200)


def _for_all(request: HttpRequest, chosen: Filters) -> list[Operation]:
    """Return what the operator may do to all that match."""
    return [each for each in job_operations.allowed(request.user) if each.name in bulk_pages.offered(chosen)]


def _choices(chosen: Filters, name: str, values: type[State] | type[Delivery]) -> list[tuple[str, str, bool]]:
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
