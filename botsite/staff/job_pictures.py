"""The small pictures in the list of jobs: cut out of the boxed photo, which a worker put them into, and never decoded.

One costs a read of 16 KB from S3, once for each browser: the address changes with the boxed photo.
"""

from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.templatetags.static import static
from django.views.decorators.http import require_GET

from botsite.staff import access
from detection import images, thumbnails

_KEPT = "private, max-age=86400"


def show(request: HttpRequest, prediction_id: str) -> HttpResponseBase:
    """Return the small picture of a job, or lead to a grey one if its boxed photo is gone or has none."""
    response = _show(request, unquote(prediction_id))
    if response.status_code == 200:
        # Instead of what every other page of the staff gets.
        response["Cache-Control"] = _KEPT
        del response["Expires"]
    return response


@require_GET
@access.needs("view")
def _show(request: HttpRequest, prediction_id: str) -> HttpResponseBase:
    head = images.head(f"results/{prediction_id}.jpg", thumbnails.HEAD_BYTES)
    small = thumbnails.read(head) if head else None
    if small is None:
        return HttpResponseRedirect(static("staff/no_picture.svg"))
    return HttpResponse(small, content_type="image/jpeg")
