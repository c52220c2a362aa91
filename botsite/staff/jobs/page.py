"""One job: its page, its trace and what operators did to it."""

from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from botsite.staff import access, logs_link, pages
from botsite.staff.jobs import operations, rows
from detection.record import albums, feedback, images, items, predictions, timeline
from detection.record.schemas import Prediction


@access.needs("view")
def show_job(request: HttpRequest, prediction_id: str) -> HttpResponse:
    """Show everything known about a job."""
    prediction_id = unquote(prediction_id)
    item = _item(prediction_id)
    context: dict[str, Any] = {"title": f"Job {prediction_id}", "job": prediction_id}
    try:
        prediction = items.read(item)
    except items.Incomplete as error:
        context |= {"incomplete": str(error), "item": sorted(item.items())}
        context["operations"] = operations.offered(request.user, None)
        return pages.render(request, "job", context)
    pictures = {"Photo": _link(prediction.image_key), "Boxed photo": _link(prediction.result_key)}
    gone = pictures["Photo"] is None
    context |= _story(prediction, photo_gone=gone) | {"pictures": pictures, "logs": logs_link.of(prediction)}
    said = feedback.of([prediction_id]).get(prediction_id)
    context["said"] = said.words(prediction) if said else ""
    context["operations"] = operations.offered(request.user, prediction, photo_gone=gone)
    return _with_images(pictures.values(), request, pages.render(request, "job", context))


@access.needs("view")
def history(request: HttpRequest, prediction_id: str) -> HttpResponse:
    """Show what operators did to a job, from its item: the admin's own entries are on one instance."""
    prediction_id = unquote(prediction_id)
    context = {"title": f"History of job {prediction_id}", "job": prediction_id, "acts": _read(prediction_id).acts}
    return pages.render(request, "job_history", context)


@require_GET
@access.needs("view")
def trace(request: HttpRequest, prediction_id: str) -> HttpResponse:
    """Show a photo's way from the update to the answer, as `manage.py trace` prints it."""
    context = {"title": f"Trace of {prediction_id}", "job": prediction_id, **_story(_read(prediction_id))}
    return pages.render(request, "trace", context)


def _item(prediction_id: str) -> dict[str, Any]:
    item = predictions.find_item(prediction_id)
    if item is None:
        raise pages.NotFound(f"No job has the id {prediction_id}. It was deleted, has expired, or the id is cut off.")
    return item


def _read(prediction_id: str) -> Prediction:
    try:
        return items.read(_item(prediction_id))
    except items.Incomplete as error:
        raise pages.NotFound(f"This job is incomplete: {error}. Its own page shows what there is.") from error


def _story(prediction: Prediction, photo_gone: bool = False) -> dict[str, Any]:
    return {
        "prediction": prediction,
        "state": rows.state(prediction),
        "found": rows.found(prediction) if prediction.detections else "",
        "given_up": rows.given_up(prediction),
        "steps": timeline.steps(prediction),
        "total_ms": timeline.total_ms(prediction),
        "advice": timeline.advice(prediction, photo_gone),
        "never_stored": timeline.never_stored(prediction),
        "album": albums.find(prediction.album_id) if prediction.album_id else None,
    }


def _link(key: str) -> str | None:
    """Return a link to an image that is good for a few minutes, or None if the image is gone."""
    return images.link(key) if images.exists(key) else None


def _with_images(links: Iterable[str | None], request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Let this page, and no other, load images from where the links lead."""
    parts = [urlsplit(link) for link in links if link]
    allowed = csp_update({"img-src": [f"{part.scheme}://{part.netloc}" for part in parts]})
    return cast(HttpResponse, allowed(lambda _: answer)(request))
