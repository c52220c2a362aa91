"""Pause and resume the service from the dashboard: ask what `manage.py pause` and `resume` do, do it, record it."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from botsite import pause
from botsite.staff import access, audit, pages
from botsite.staff.pages import Question, Subject
from metrics import cloudwatch
from metrics.health.words import count


@require_http_methods(["GET", "POST"])
@access.needs("change")
def pause_service(request: HttpRequest) -> HttpResponse:
    """Ask on GET, pause on POST; a pause that exists stays as it is."""
    if request.method == "GET":
        return pages.ask(request, _before_pause(pause.read(settings.PREDICTIONS_TABLE)))
    audit.attempt(request, "pause")
    found, new = pause.begin(settings.PREDICTIONS_TABLE, f"{request.user.get_username()} on the dashboard")
    if new:
        audit.service(request, "Paused.")
    messages.info(request, f"The service is {'now' if new else 'already'} {found}.")
    return redirect("ops:dashboard")


@require_http_methods(["GET", "POST"])
@access.needs("change")
def resume_service(request: HttpRequest) -> HttpResponse:
    """Ask on GET, end the pause on POST."""
    if request.method == "GET":
        return pages.ask(request, _before_resume(pause.read(settings.PREDICTIONS_TABLE)))
    audit.attempt(request, "resume")
    if found := pause.end(settings.PREDICTIONS_TABLE):
        audit.service(request, f"Resumed: it was {found}.")
    messages.info(request, f"Resumed: the service was {found}." if found else "The service was not paused.")
    return redirect("ops:dashboard")


def _before_pause(found: pause.Pause | None) -> Question:
    text = f"The service is already {found}." if found else "Stop the work, and keep what comes?"
    within = f"receive no jobs within {pause.IN_FORCE_SECONDS} s, finish what they have, and go after some 15 minutes"
    rows = (
        Subject("Sites", "take photos as ever, and tell each chat once that its photo is kept"),
        Subject("Workers", within),
        Subject("Photos", f"are answered after the pause, and kept for {settings.PREDICTIONS_KEPT_DAYS} days"),
        Subject("Alarms", "the one for waiting jobs goes off after 10 minutes"),
    )
    return _question("Pause", text, rows, possible=found is None)


def _before_resume(found: pause.Pause | None) -> Question:
    if found is None:
        return _question("Resume", "The service is not paused.", (), possible=False)
    waiting = cloudwatch.queue(settings.JOBS_QUEUE_URL).visible
    rows = (
        Subject("Jobs", f"{count(waiting, 'job')} {'waits' if waiting == 1 else 'wait'}"),
        Subject("Workers", "receive again within seconds; without one, the first is launched within a minute or so"),
    )
    return _question("Resume", f"The service is {found}. Let it work again?", rows, possible=True)


def _question(button: str, text: str, rows: tuple[Subject, ...], *, possible: bool) -> Question:
    title = f"{button} the service"
    return Question(title, text, button, rows, reverse("ops:dashboard"), "Dashboard", possible=possible)
