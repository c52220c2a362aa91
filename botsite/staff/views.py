"""Show staff how the service does: a page a question."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET

from botsite.staff import access, charts, dashboard, errors, sources
from detection import items, predictions, timeline


@require_GET
@access.needs("view")
def overview(request: HttpRequest) -> HttpResponse:
    """Show how the service stands now; the page asks `live` for what changes."""
    context = admin.site.each_context(request) | {"title": "Operation"} | _now()
    return TemplateResponse(request, "ops/overview.html", context).render()


@require_GET
@access.needs("view")
def live(request: HttpRequest) -> HttpResponse:
    """Return the part of the overview that changes."""
    return TemplateResponse(request, "ops/live.html", _now()).render()


@require_GET
@access.needs("view")
def trace(request: HttpRequest, prediction_id: str) -> HttpResponse:
    """Show one photo's way from the update to the answer, as `manage.py trace` prints it."""
    try:
        prediction = predictions.find(prediction_id)
    except items.Incomplete as error:
        raise errors.Unknown(f"This job is half written: {error}. The admin shows what there is of it.") from error
    if prediction is None:
        raise errors.Unknown(f"There is no job {prediction_id}: it is deleted or expired, or the id is not whole.")
    context = admin.site.each_context(request) | {
        "title": f"Trace of {prediction_id}",
        "prediction": prediction,
        "steps": timeline.steps(prediction),
        "total_ms": timeline.total_ms(prediction),
        "advice": timeline.advice(prediction),
    }
    return TemplateResponse(request, "ops/trace.html", context).render()


def _now() -> dict[str, Any]:
    seen = sources.everything.snapshot()
    at = datetime.fromtimestamp(seen.at, UTC)
    return {"sections": dashboard.sections(seen), "at": at, "width": charts.WIDTH, "height": charts.HEIGHT}
