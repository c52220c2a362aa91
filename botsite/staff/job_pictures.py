"""The small pictures in the list of jobs: cut out of the boxed photo, which a worker put them into, and never decoded.

One costs a read of 16 KB from S3 each time it is shown: a browser keeps it, but asks whether it is still there.
"""

from hashlib import sha256

from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.templatetags.static import static
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_GET

from botsite.staff import access
from detection.picture import thumbnails
from detection.record import images

# Its sender may have everything deleted.
_KEPT = "private, no-cache"


def show(request: HttpRequest, prediction_id: str) -> HttpResponseBase:
    """Return the small picture of a job, or lead to a grey one if its boxed photo is gone or has none."""
    response = _show(request, unquote(prediction_id))
    if not isinstance(response, HttpResponse) or response.status_code != 200:
        return response
    # Instead of what every other page of the staff gets.
    response["Cache-Control"] = _KEPT
    del response["Expires"]
    response["ETag"] = quote_etag(sha256(response.content).hexdigest())
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


@require_GET
@access.needs("view")
def _show(request: HttpRequest, prediction_id: str) -> HttpResponseBase:
    head = images.head(f"results/{prediction_id}.jpg", thumbnails.HEAD_BYTES)
    small = thumbnails.read(head) if head else None
    if small is None:
        return HttpResponseRedirect(static("staff/no_picture.svg"))
    return HttpResponse(small, content_type="image/jpeg")
