"""List the dead letters, and make jobs of those that an operator chooses: asked first, and written down."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import structlog
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from botsite.staff import access, errors
from detection import dead_letters, predictions
from detection.dead_letters import DeadLetter, NoDeadLetterQueue
from detection.models import Job

log = structlog.get_logger()

SHOWN_AT_MOST = 100
_SAID = "Replayed from the dead letters."


@require_GET
@access.needs("view")
def letters(request: HttpRequest) -> HttpResponse:
    """List dead letters. To look is to receive: it hides them from others, for the moment that it takes."""
    try:
        total, found = dead_letters.count(), dead_letters.look(SHOWN_AT_MOST)
    except NoDeadLetterQueue as error:
        return errors.page(request, 503, "No dead letters", str(error))
    rows = [(letter, datetime.fromtimestamp(letter.sent_at / 1000, UTC)) for letter in found]
    may_replay = request.user.has_perm("detection.change_job")  # type: ignore[union-attr]  # Staff is no stranger.
    context = {"title": "Dead letters", "rows": rows, "total": max(total, len(rows)), "may_replay": may_replay}
    return _page(request, "letters", context)


@require_http_methods(["GET", "POST"])
@access.needs("change")
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask on GET, act on POST. The letters are the `id`s of the query."""
    ids = list(dict.fromkeys(request.GET.getlist("id")))[:SHOWN_AT_MOST]
    if not ids:
        messages.warning(request, "Nothing is chosen: tick the letters first.")
    elif request.method == "POST":
        _replay(request, ids)
    else:
        return _page(request, "replay", {"title": "Replay", "ids": ids})
    return HttpResponseRedirect(reverse("ops:letters"))


def _replay(request: HttpRequest, ids: list[str]) -> None:
    replayed: list[DeadLetter] = []
    busy = 0
    with closing(dead_letters.chosen(ids)) as found:
        for letter in found:
            _write_down(request, letter)
            if dead_letters.replay(letter):
                replayed.append(letter)
            else:
                busy += 1
    if replayed:
        said = f"{len(replayed)} dead letters are jobs again." if len(replayed) > 1 else _one(replayed[0])
        messages.success(request, said)
    if busy:
        messages.error(request, f"{busy} of the selected letters cannot be replayed yet: try again in two minutes.")
    if gone := len(ids) - len(replayed) - busy:
        messages.error(
            request, f"{gone} of the selected letters are gone: already replayed, or being viewed by someone else."
        )


def _one(letter: DeadLetter) -> str:
    return f"A job again: {letter.prediction_id or letter.message_id}."


def _write_down(request: HttpRequest, letter: DeadLetter) -> None:
    """Record who does this: in the log, on the job's item for every instance to show, and in the admin."""
    operator = request.user.get_username()
    fields = {"operation": "replay", "operator": operator, "message_id": letter.message_id}
    log.warning("operator_acts", **fields, prediction_id=letter.prediction_id)
    if letter.prediction_id:
        predictions.note(letter.prediction_id, "replay", operator)
        admin.site.get_model_admin(Job).log_change(request, Job(letter.prediction_id), _SAID)
    else:
        LogEntry.objects.create(
            user_id=request.user.pk,
            object_id=letter.message_id,
            object_repr=f"dead letter {letter.message_id}",
            action_flag=CHANGE,
            change_message=_SAID,
        )


def _page(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    context = admin.site.each_context(request) | context
    return TemplateResponse(request, f"ops/{name}.html", context).render()
