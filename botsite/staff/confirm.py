"""Ask an operator once more, do what was confirmed, and write down who did what to which job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from botsite.staff import listing
from botsite.staff.errors import Unknown
from detection import items, operations, predictions, sentences
from detection.models import Job
from detection.schemas import Prediction

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    JobAdmin = ModelAdmin[Job]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to do to jobs: what is asked before, what is said after, who may, and what may be against it."""

    name: str
    button: str
    question: str
    done: str
    permission: str
    run: Callable[..., None]
    against: Callable[[Prediction], str | None] | None = None


_OPERATIONS = {
    each.name: each
    for each in (
        Operation(
            "retry",
            "Retry",
            "Have the photo worked on again, and answered again?",
            "Retried",
            "change",
            operations.retry,
            operations.against_retry,
        ),
        Operation(
            "resend",
            "Resend result",
            "Send the answer to its chat, also if it was sent before?",
            "Resent",
            "change",
            operations.resend,
            operations.against_resend,
        ),
        Operation(
            "apologise",
            "Mark failed and apologise",
            "Give up the job and tell its sender so?",
            "Failed, with an apology to the sender",
            "change",
            operations.apologise,
            operations.against_apologise,
        ),
        Operation(
            "delete",
            "Delete with images",
            "Delete the job with its photo and its boxed photo, for good?",
            "Deleted",
            "delete",
            operations.delete,
        ),
    )
}


def allowed(admin: JobAdmin, request: HttpRequest) -> list[Operation]:
    """Return what this operator may do."""
    may = {"change": admin.has_change_permission(request), "delete": admin.has_delete_permission(request)}
    return [operation for operation in _OPERATIONS.values() if may[operation.permission]]


def offered(admin: JobAdmin, request: HttpRequest, prediction: Prediction | None) -> list[Operation]:
    """Return what this operator may do to a job as it stands; None is one that is half written."""
    return [
        operation
        for operation in allowed(admin, request)
        if operation.against is None or (prediction and not operation.against(prediction))
    ]


def view(admin: JobAdmin, request: HttpRequest, name: str) -> HttpResponse:
    """Ask on GET, act on POST. The jobs are the `id`s of the query, at most a page of them."""
    operation = _OPERATIONS.get(name)
    if operation is None:
        raise Unknown(f"There is no operation {name}: there are {', '.join(_OPERATIONS)}.")
    if operation not in allowed(admin, request):
        raise PermissionDenied
    ids = list(dict.fromkeys(request.GET.getlist("id")))[: listing.PAGE_LENGTH]
    if not ids:
        messages.warning(request, "Nothing is chosen: tick the jobs first.")
        return HttpResponseRedirect(reverse("admin:detection_job_changelist"))
    if request.method == "POST":
        return _act(admin, request, operation, ids)
    return _ask(admin, request, operation, ids)


def _ask(admin: JobAdmin, request: HttpRequest, operation: Operation, ids: list[str]) -> HttpResponse:
    found = {each: predictions.find_item(each) for each in ids}
    context = admin.admin_site.each_context(request) | {
        "title": operation.button,
        "opts": admin.opts,
        "operation": operation,
        "rows": [items.row(item) for item in found.values() if item is not None],
        "missing": [each for each, item in found.items() if item is None],
        "apology": sentences.APOLOGY if operation.name == "apologise" else "",
        "apology_length": operations.APOLOGY_LENGTH,
        "back": _where(ids),
    }
    return TemplateResponse(request, "admin/detection/job/confirm.html", context).render()


def _act(admin: JobAdmin, request: HttpRequest, operation: Operation, ids: list[str]) -> HttpResponse:
    sentence = request.POST.get("sentence", "").strip()[: operations.APOLOGY_LENGTH]
    more = {"sentence": sentence} if operation.name == "apologise" and sentence else {}
    done = [each for each in ids if _one(admin, request, operation, each, more)]
    if len(done) == 1:
        messages.success(request, f"{operation.done}: {done[0]}.")
    elif done:
        messages.success(request, f"{operation.done}: {len(done)} jobs.")
    gone = operation.name == "delete" and bool(done)
    return HttpResponseRedirect(reverse("admin:detection_job_changelist") if gone else _where(ids))


def _one(admin: JobAdmin, request: HttpRequest, operation: Operation, job: str, more: dict[str, str]) -> bool:
    """Do it to one job; return whether it was done, after telling the operator why not."""
    fields = {"operation": operation.name, "operator": request.user.get_username(), "prediction_id": job}
    # In the log too: the admin's own entries are on this instance, and an item may be deleted.
    log.warning("operator_acts", **fields)
    try:
        operation.run(job, **more)
    except operations.Refused as error:
        messages.error(request, f"{operation.button}: nothing was done to {job}: {error}.")
        log.warning("operator_refused", **fields, error=str(error))
        return False
    if operation.name == "delete":
        admin.log_deletions(request, [Job(job)])  # type: ignore[arg-type]  # Any iterable will do.
    else:
        # On the item, so that every instance shows it.
        predictions.note(job, operation.name, fields["operator"])
        admin.log_change(request, Job(job), f"{operation.done}.")
    return True


def _where(ids: list[str]) -> str:
    """Return the page to go back to: that of the one job, else the list."""
    if len(ids) == 1:
        return reverse("admin:detection_job_change", args=[quote(ids[0])])
    return reverse("admin:detection_job_changelist")
