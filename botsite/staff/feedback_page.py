"""The answers that people say something is wrong with, newest first."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from botsite.staff import access, job_rows, pages
from detection.record import feedback, items

SHOWN_AT_MOST = 100


@require_GET
@access.needs("view")
def show(request: HttpRequest) -> HttpResponse:
    """List them; those whose photo has expired since are left out."""
    rows = [items.row({"prediction_id": each}) for each in feedback.newest(SHOWN_AT_MOST)]
    lines = [line for line in job_rows.lines(rows) if line.created_at]
    return pages.render(request, "feedback", {"title": "Feedback", "lines": lines})
