"""Let operators do something to jobs: who may, when it is offered, the question before, and the record afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from botsite.staff import access, audit, pages
from botsite.staff.jobs import query
from botsite.staff.pages import Question, Subject
from botsite.staff.templatetags import times
from detection.record import items, predictions
from detection.record.schemas import Prediction
from detection.record.sentences import Code
from detection.work import operations

User = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to do to jobs. `against` returns why it makes no sense for a job as it stands.

    `question` asks about one job, `of_many` about {count} of them, `of_all` about all that match.
    """

    name: str
    button: str
    question: str
    of_many: str
    done: str
    permission: str
    run: Callable[..., None]
    against: Callable[[Prediction], str | None] | None = None
    of_all: str = ""


_OPERATIONS = {
    each.name: each
    for each in (
        Operation(
            name="retry",
            button="Retry",
            question="Process the photo again, and send the answer again?",
            of_many="Process the photos of these {count} jobs again, and answer them again?",
            done="Retried",
            permission="change",
            run=operations.retry,
            against=operations.against_retry,
            of_all="Process their photos again, and send their answers again?",
        ),
        Operation(
            name="resend",
            button="Resend result",
            question="Send the answer again, even if it was sent before?",
            of_many="Send the answers of these {count} jobs again, even if they were sent before?",
            done="Resent",
            permission="change",
            run=operations.resend,
            against=operations.against_resend,
            of_all="Send their answers again, even if they were sent before?",
        ),
        Operation(
            name="apologise",
            button="Mark failed and apologise",
            question="Give up on the job and tell the sender?",
            of_many="Give up on these {count} jobs and tell their senders?",
            done="Marked failed, with an apology to the sender",
            permission="change",
            run=operations.apologise,
            against=operations.against_apologise,
        ),
        Operation(
            name="delete",
            button="Delete with images",
            question="Permanently delete the job, its photo and its boxed photo?",
            of_many="Permanently delete these {count} jobs, their photos and their boxed photos?",
            done="Deleted",
            permission="delete",
            run=operations.delete,
        ),
    )
}


def find(name: str) -> Operation:
    """Return an operation by its name. Raise NotFound."""
    if name not in _OPERATIONS:
        raise pages.NotFound(f"No operation is called {name}. The operations are {', '.join(_OPERATIONS)}.")
    return _OPERATIONS[name]


def allowed(user: User) -> list[Operation]:
    """Return what this operator may do."""
    return [operation for operation in _OPERATIONS.values() if access.may(user, operation.permission)]


def offered(user: User, prediction: Prediction | None, photo_gone: bool = False) -> list[Operation]:
    """Return what this operator may do to a job as it stands; None stands for an incomplete job."""
    return [
        operation
        for operation in allowed(user)
        if (operation.against is None or (prediction and not operation.against(prediction)))
        and not (photo_gone and operation.name == "retry")
    ]


@access.staff
def confirm_and_run(request: HttpRequest, name: str) -> HttpResponse:
    """Ask on GET, act on POST. The jobs are the `id`s of the address, at most a page of them."""
    operation = find(name)
    if not access.may(request.user, operation.permission):
        raise PermissionDenied
    ids = pages.selected(request, query.PAGE_LENGTH)
    if not ids:
        messages.warning(request, "Select at least one job.")
        return HttpResponseRedirect(reverse("admin:detection_job_changelist"))
    if request.method == "POST":
        return _run(request, operation, ids)
    return pages.ask(request, _question(operation, ids))


def _question(operation: Operation, ids: list[str]) -> Question:
    found = {each: predictions.find_item(each) for each in ids}
    apology = operation.name == "apologise"
    return Question(
        title=operation.button,
        text=operation.question if len(ids) == 1 else operation.of_many.format(count=len(ids)),
        button=operation.button,
        rows=tuple(_row(each, item) for each, item in found.items()),
        back=_back(ids),
        back_name=f"Job {ids[0]}" if len(ids) == 1 else "Jobs",
        possible=any(item is not None for item in found.values()),
        sentence=Code.APOLOGY.value if apology else "",
        longest=operations.APOLOGY_LENGTH if apology else 0,
    )


def _row(prediction_id: str, item: dict[str, Any] | None) -> Subject:
    if item is None:
        return Subject(prediction_id, "not found, deleted or expired")
    return row(items.row(item))


def row(found: items.Row) -> Subject:
    """Return what a question says of a job."""
    note = f"{times.moment(found.created_at)}, chat {found.chat_id}, {found.status}, {found.delivery}"
    return Subject(found.prediction_id, note, reverse("admin:detection_job_change", args=[quote(found.prediction_id)]))


def _run(request: HttpRequest, operation: Operation, ids: list[str]) -> HttpResponse:
    sentence = request.POST.get("sentence", "").strip()[: operations.APOLOGY_LENGTH]
    more = {"sentence": sentence} if operation.name == "apologise" and sentence else {}
    done = [each for each in ids if _run_one(request, operation, each, more)]
    if done:
        messages.success(request, f"{operation.done}: {done[0] if len(done) == 1 else f'{len(done)} jobs'}.")
    gone = operation.name == "delete" and bool(done)
    return HttpResponseRedirect(reverse("admin:detection_job_changelist") if gone else _back(ids))


def _run_one(request: HttpRequest, operation: Operation, prediction_id: str, more: dict[str, str]) -> bool:
    """Do it to one job; return whether it was done, after telling the operator why not."""
    audit.attempt(request, operation.name, prediction_id=prediction_id)
    try:
        operation.run(prediction_id, **more)
    except operations.NotAllowed as error:
        messages.error(request, f"{operation.button} failed for job {prediction_id}: {error}.")
        audit.refused(request, operation.name, prediction_id, str(error))
        return False
    if operation.name == "delete":
        audit.deleted(request, prediction_id)
    else:
        audit.changed(request, operation.name, prediction_id, f"{operation.done}.")
    return True


def _back(ids: list[str]) -> str:
    """Return the page to go back to: the job's if there is one job, otherwise the list."""
    if len(ids) == 1:
        return reverse("admin:detection_job_change", args=[quote(ids[0])])
    return reverse("admin:detection_job_changelist")
