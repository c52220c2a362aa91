"""Show staff how the service does: a page a question."""

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from detection import items, predictions, timeline, trouble


@never_cache
@require_GET
@staff_member_required
@trouble.explained
@permission_required("detection.view_job", raise_exception=True)
def trace(request: HttpRequest, prediction_id: str) -> HttpResponse:
    """Show one photo's way from the update to the answer, as `manage.py trace` prints it."""
    try:
        prediction = predictions.find(prediction_id)
    except items.Incomplete as error:
        raise trouble.Unknown(f"This job is half written: {error}. The admin shows what there is of it.") from error
    if prediction is None:
        raise trouble.Unknown(f"There is no job {prediction_id}: it is deleted or expired, or the id is not whole.")
    context = admin.site.each_context(request) | {
        "title": f"Trace of {prediction_id}",
        "prediction": prediction,
        "steps": timeline.steps(prediction),
        "total_ms": timeline.total_ms(prediction),
        "advice": timeline.advice(prediction),
    }
    return TemplateResponse(request, "ops/trace.html", context).render()
