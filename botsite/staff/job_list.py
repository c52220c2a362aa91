"""The list of jobs: filtered, a page at a time, straight from DynamoDB."""

from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from botsite.staff import access, job_filters, job_operations, job_query, pages
from botsite.staff.job_filters import Filters
from detection import predictions
from detection.schemas import Delivery, Status


@access.needs("view")
def show(request: HttpRequest) -> HttpResponse:
    """Show a page of jobs, or go to the one whose id is searched for."""
    query = request.GET.dict()
    wanted, cursor = query.pop("q", "").strip(), query.pop("cursor", "")
    if wanted and predictions.find_item(wanted) is not None:
        return HttpResponseRedirect(reverse("admin:detection_job_change", args=[quote(wanted)]))
    chosen = job_filters.read(query)
    context = {
        "title": "Jobs",
        "page": job_query.page(chosen, cursor),
        "chosen": chosen,
        "wanted": wanted,
        "choices": {
            "status": _choices(chosen, "status", Status),
            "delivery": _choices(chosen, "delivery", Delivery),
        },
        "operations": job_operations.allowed(request.user),
    }
    return pages.render(request, "jobs", context, 404 if wanted else 200)


def _choices(chosen: Filters, name: str, values: type[Status] | type[Delivery]) -> list[tuple[str, str, bool]]:
    """Return (label, address, whether it is chosen) for each value of a filter."""
    current = getattr(chosen, name)
    everything = ("All", chosen.address(**{name: None}), current is None)
    return [
        everything,
        *((each.value.capitalize(), chosen.address(**{name: each}), current is each) for each in values),
    ]
