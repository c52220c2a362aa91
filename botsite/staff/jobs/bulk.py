"""Do something to all jobs that match: a preview that asks, a page that counts, a way to stop and to continue."""

from dataclasses import replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from botsite.staff import access, audit, pages
from botsite.staff import pages as staff_pages
from botsite.staff.jobs import bulk_run, bulk_runner, filters, operations, query
from botsite.staff.jobs.bulk_run import BulkRun
from botsite.staff.jobs.filters import Filters, JobState
from botsite.staff.jobs.operations import Operation
from botsite.staff.pages import Question
from detection.record import times

_FIRST_ONES = 10
# The states for which each makes sense. Retrying without a chosen status means the failed jobs.
_STATES: dict[str, tuple[JobState | None, ...]] = {
    "retry": (JobState.FAILED, JobState.REFUSED, JobState.QUEUED, JobState.PROCESSING),
    "resend": (JobState.SUCCEEDED, JobState.FAILED, JobState.REFUSED, None),
}


def offered(chosen: Filters) -> list[str]:
    """Return what can be done to all that match. Without a filter nothing can: nobody means every job."""
    if chosen == Filters():
        return []
    return [name for name in _STATES if _whole(name, chosen).status in _STATES[name]]


@access.needs("change")
def preview(request: HttpRequest, name: str) -> HttpResponse:
    """Show how many jobs match, and the first ones; on POST, begin.

    The address says exactly which jobs are meant: those that come later are not among them.
    """
    operation = operations.find(name)
    if name not in _STATES:
        raise pages.NotFound(f"{operation.button} works on selected jobs only.")
    chosen = filters.from_query(request.GET.dict())
    if name not in offered(chosen):
        messages.warning(request, f"Choose a filter whose jobs can be meant: {operation.button.lower()} has none here.")
        return HttpResponseRedirect(reverse("admin:detection_job_changelist") + chosen.address())
    whole = _whole(name, chosen)
    if whole != chosen:
        return HttpResponseRedirect(reverse("admin:detection_job_all", args=[name]) + whole.address())
    count = query.count(chosen)
    if request.method == "POST":
        return _begin(request, operation, chosen, count)
    return pages.ask(request, _question(operation, chosen, count))


@require_GET
@access.needs("view")
def show_run(request: HttpRequest) -> HttpResponse:
    """Show the current run, or the last one."""
    run = bulk_run.find()
    context = {
        "title": "All that match",
        "run": run,
        "operation": operations.find(run.operation) if run else None,
        "total": min(run.matched, bulk_runner.AT_MOST) if run else 0,
        "may_change": access.may(request.user, "change"),
        "pace": bulk_runner.PER_SECOND,
    }
    return staff_pages.render(request, "bulk", context)


@require_POST
@access.needs("change")
def stop(request: HttpRequest) -> HttpResponse:
    """Have the run stopped."""
    audit.attempt(request, "stop all")
    bulk_run.stop()
    messages.success(request, "It stops after the job that it works on.")
    return HttpResponseRedirect(reverse("admin:detection_job_bulk"))


@require_POST
@access.needs("change")
def go_on(request: HttpRequest) -> HttpResponse:
    """Resume a run that ended early."""
    run = bulk_run.find()
    if run and run.can_continue:
        _start(request, run)
    return HttpResponseRedirect(reverse("admin:detection_job_bulk"))


def _whole(name: str, chosen: Filters) -> Filters:
    status = chosen.status or (JobState.FAILED if name == "retry" else None)
    return replace(chosen, status=status, until=chosen.until or times.now().replace(microsecond=0))


def _begin(request: HttpRequest, operation: Operation, chosen: Filters, count: query.Count) -> HttpResponse:
    operator, now = request.user.get_username(), times.now()
    _start(request, BulkRun(operation.name, chosen.address(), operator, count.number, count.exact, now, now))
    return HttpResponseRedirect(reverse("admin:detection_job_bulk"))


def _start(request: HttpRequest, run: BulkRun) -> None:
    audit.attempt(request, f"{run.operation} all", filters=run.filters, matched=run.matched, done=run.done)
    begun = bulk_run.begin(run)
    if begun is None:
        messages.error(request, "Nothing was begun: another one is going on. Stop it, or wait for its end.")
        return
    audit.bulk(request, run.operation, run.filters)
    bulk_runner.start(begun, operations.find(run.operation).run)


def _question(operation: Operation, chosen: Filters, count: query.Count) -> Question:
    first = next(query.walk(chosen, oldest_first=True), [])[:_FIRST_ONES]
    return Question(
        title=f"{operation.button}: all that match",
        text=f"{_matching(count)} {operation.question}" if count.number == 1 else _of_many(operation, count),
        button=operation.button,
        rows=tuple(operations.row(each) for each in first),
        more=f"and {count.number - len(first)} more" if count.number > len(first) else "",
        back=reverse("admin:detection_job_changelist") + chosen.address(),
        back_name="Jobs",
        possible=count.number > 0,
    )


def _of_many(operation: Operation, count: query.Count) -> str:
    minutes = round(min(count.number, bulk_runner.AT_MOST) / bulk_runner.PER_SECOND / 60)
    rest = f" The oldest {bulk_runner.AT_MOST:,} are taken." if count.number > bulk_runner.AT_MOST else ""
    return (
        f"{_matching(count)}{rest} {operation.of_all} It is done in the background, {bulk_runner.PER_SECOND} a second:"
        f" {f'about {minutes} min' if minutes else 'less than a minute'}. Jobs that it makes no sense for are skipped."
    )


def _matching(count: query.Count) -> str:
    if not count.number:
        return "No job matches."
    jobs = "1 job matches" if count.number == 1 else f"{count.number:,} jobs match"
    return f"{jobs}." if count.exact else f"At least {jobs}."
