"""Show the jobs in Django's admin, straight from DynamoDB; botsite/staff/confirm.py lets operators act on them."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from botsite.staff import confirm, errors, filters, listing, logs_link
from detection import images, items, predictions, timeline
from detection.models import Job
from detection.schemas import Delivery, Prediction, Status

if TYPE_CHECKING:
    JobModelAdmin = admin.ModelAdmin[Job]
else:
    JobModelAdmin = admin.ModelAdmin


@admin.register(Job)
class JobAdmin(JobModelAdmin):
    """The admin's index, permissions, history and style, with pages of its own: there is no table to make them from."""

    def get_urls(self) -> list[URLPattern]:
        """Return the pages that there are; each but the list is about one job or some."""
        views: dict[str, tuple[Callable[..., Any], str]] = {
            "": (self.changelist_view, "changelist"),
            "<str:name>/confirm/": (self.confirm_view, "confirm"),
            "<path:object_id>/history/": (self.history_view, "history"),
            "<path:object_id>/change/": (self.change_view, "change"),
        }
        return [
            path(route, self.admin_site.admin_view(errors.explained(view)), name=f"detection_job_{name}")
            for route, (view, name) in views.items()
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: jobs come from Telegram."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List a page of jobs, or go to the one whose id is searched for."""
        self._must_be_allowed(request)
        query = request.GET.dict()
        wanted, cursor = query.pop("q", "").strip(), query.pop("cursor", "")
        if wanted and predictions.find_item(wanted) is not None:
            return HttpResponseRedirect(reverse("admin:detection_job_change", args=[quote(wanted)]))
        chosen = filters.read(query)
        page = listing.page(chosen, cursor)
        context = {
            "title": "Jobs",
            "page": page,
            "chosen": chosen,
            "wanted": wanted,
            "choices": {
                "status": _choices(chosen, "status", Status),
                "delivery": _choices(chosen, "delivery", Delivery),
            },
            "operations": confirm.allowed(self, request),
        }
        return self._answer(request, "change_list", context, 404 if wanted else 200)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one job."""
        self._must_be_allowed(request)
        object_id, item = _found(object_id)
        context: dict[str, Any] = {"title": f"Job {object_id}", "job": object_id}
        try:
            prediction = items.read(item)
        except items.Incomplete as error:
            context |= {"incomplete": str(error), "item": sorted(item.items())}
            context["operations"] = confirm.offered(self, request, None)
            return self._answer(request, "change_form", context)
        pictures = {"Photo": _link(prediction.image_key), "Boxed photo": _link(prediction.result_key)}
        context |= _story(prediction) | {"pictures": pictures}
        context["operations"] = confirm.offered(self, request, prediction)
        return _showing(pictures.values(), request, self._answer(request, "change_form", context))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what operators did to one job: from its item, for the admin's own entries are on one instance."""
        self._must_be_allowed(request)
        object_id, item = _found(object_id)
        try:
            acts = items.read(item).acts
        except items.Incomplete as error:
            raise errors.Unknown(f"This job is half written: {error}. It has no history.") from error
        context = {"title": f"History of job {object_id}", "job": object_id, "acts": acts}
        return self._answer(request, "object_history", context)

    def confirm_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask whether an operation is meant, then do it."""
        return confirm.view(self, request, name)

    def _must_be_allowed(self, request: HttpRequest) -> None:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied

    def _answer(self, request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
        context = self.admin_site.each_context(request) | {"opts": self.opts} | context
        # Rendered here: an error of DynamoDB in a template would be past what explains it.
        return TemplateResponse(request, f"admin/detection/job/{template}.html", context, status=status).render()


def _found(quoted: str) -> tuple[str, dict[str, Any]]:
    """Return the id and the item of the job that an address names."""
    identity = unquote(quoted)
    item = predictions.find_item(identity)
    if item is None:
        raise errors.Unknown(f"There is no job {identity}: it is deleted or expired, or the id is not whole.")
    return identity, item


def _choices(chosen: filters.Filters, name: str, states: type[Status] | type[Delivery]) -> list[tuple[str, str, bool]]:
    """Return label, address and whether it is chosen, for each value of a filter."""
    given = getattr(chosen, name)
    every = [("All", chosen.address(**{name: None}), given is None)]
    return every + [(state.value.capitalize(), chosen.address(**{name: state}), given is state) for state in states]


def _story(prediction: Prediction) -> dict[str, Any]:
    return {
        "prediction": prediction,
        "steps": timeline.steps(prediction),
        "total_ms": timeline.total_ms(prediction),
        "advice": timeline.advice(prediction),
        "logs": logs_link.of(prediction),
    }


def _link(key: str) -> str | None:
    """Return a link to an image for a few minutes, or None if it is gone."""
    return images.link(key) if images.exists(key) else None


def _showing(links: Iterable[str | None], request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Let a page, and no other, show images from where the links lead."""
    parts = [urlsplit(link) for link in links if link]
    allowed = csp_update({"img-src": [f"{part.scheme}://{part.netloc}" for part in parts]})
    return cast(HttpResponse, allowed(lambda _: answer)(request))
