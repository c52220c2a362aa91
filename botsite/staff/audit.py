"""Record what operators do: in the log, on the job for every instance to show, and in the admin's own history."""

from typing import Any

import structlog
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from detection.models import Job
from detection.record import predictions

log = structlog.get_logger()


def attempt(request: HttpRequest, operation: str, **ids: Any) -> None:
    """Log an operation before it starts. The log alone keeps attempts that fail, and outlives deleted jobs."""
    log.warning("operator_acts", operation=operation, operator=request.user.get_username(), **ids)


def refused(request: HttpRequest, operation: str, prediction_id: str, reason: str) -> None:
    """Log that an operation was refused for a job."""
    operator = request.user.get_username()
    log.warning("operator_refused", operation=operation, operator=operator, prediction_id=prediction_id, error=reason)


def changed(request: HttpRequest, operation: str, prediction_id: str, sentence: str) -> None:
    """Record a change in the admin's history, and on the item, since each instance has its own database."""
    predictions.note(prediction_id, operation, request.user.get_username())
    _enter(request, CHANGE, sentence, prediction_id, prediction_id, of_job=True)


def deleted(request: HttpRequest, prediction_id: str) -> None:
    """Record a deletion."""
    _enter(request, DELETION, "", prediction_id, prediction_id, of_job=True)


def bulk(request: HttpRequest, operation: str, filters: str) -> None:
    """Record an operation on all jobs that match; each job keeps its own record, too."""
    _enter(request, CHANGE, f"{operation} of all that match {filters}", "all", f"all jobs {filters}", of_job=False)


def service(request: HttpRequest, sentence: str) -> None:
    """Record what was done to the service as a whole."""
    _enter(request, CHANGE, sentence, "service", "the service", of_job=False)


def letter(request: HttpRequest, message_id: str, sentence: str) -> None:
    """Record what was done to a dead letter that is not a job."""
    _enter(request, CHANGE, sentence, message_id, f"dead letter {message_id}", of_job=False)


def _enter(request: HttpRequest, action: int, sentence: str, identity: str, name: str, *, of_job: bool) -> None:
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type=ContentType.objects.get_for_model(Job) if of_job else None,
        object_id=identity,
        object_repr=name[:200],
        action_flag=action,
        change_message=sentence,
    )
