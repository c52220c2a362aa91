"""The queue on the dashboard: what waits and for how long, the metric, and when the first worker is expected."""

import math

from django.urls import reverse

from botsite.staff import logs_link
from botsite.staff.dashboard.charts import Chart
from botsite.staff.dashboard.machines import LISTED
from botsite.staff.dashboard.sources import Snapshot
from botsite.staff.dashboard.tiles import Section, Tile, jobs, of, tile
from botsite.staff.jobs.filters import JobState
from metrics import backlog, wait
from metrics.backlog import Depth
from metrics.cloudwatch import STALE_AFTER_SECONDS, Group
from metrics.health.words import span
from metrics.service import HOURS, Tracked
from metrics.wait import Starting

# The last seconds of a start can't be told.
_SOON_SECONDS = 5.0


def section(seen: Snapshot) -> Section:
    """Return what waits, with the charts of the backlog and of the workers, and when the first worker is expected."""
    queued, working = jobs(JobState.QUEUED), jobs(JobState.PROCESSING)
    return Section(
        "Queue",
        (
            tile("Waiting", seen.queue, lambda queue: of(queue.visible, "jobs without a worker"), queued),
            tile("In progress", seen.queue, lambda queue: of(queue.in_flight, "jobs in work"), working),
            tile("Oldest waiting", seen.waiting, lambda now: longest(now.worker_seconds, "a worker"), queued),
            tile("Dead letters", seen.dead, _dead, reverse("ops:letters")),
            tile("Backlog per instance", seen.tracked, lambda now: _backlog(now, seen.workers), "#chart-backlog"),
            tile("Metric freshness", seen.tracked, lambda now: _freshness(now, seen.at), _log("metricStreamer", seen)),
        ),
        (_backlog_chart(seen), _workers_chart(seen)),
        # Nothing starts one before the service is resumed.
        "" if seen.paused.data else _first_worker(seen),
    )


def longest(seconds: float | None, what: str) -> Tile:
    """Return the longest wait for something."""
    return of("–", "nobody waits") if seconds is None else of(span(seconds), f"for {what}")


def first_worker(depth: Depth | None, group: Group | None, tracked: Tracked | None, now: float) -> str:
    """Say when the first worker is expected, `now` in epoch seconds; nothing while one works, or if that is unknown."""
    if depth is None or group is None or tracked is None:
        return ""
    start = wait.starting(tracked, now)
    if wait.working(depth, group.in_service, start):
        return ""
    ready = wait.ready_in(depth, group.desired, group.in_service, start)
    machines = max(group.desired, group.in_service)
    return _launched(ready[0], machines, start) if machines else _none(depth, ready)


def _first_worker(seen: Snapshot) -> str:
    said = first_worker(seen.queue.data, seen.workers, seen.tracked.data, seen.at)
    if said and seen.standby:
        return "The worker on standby takes photos; more than it can do in time starts others."
    return said


def _none(depth: Depth, ready: list[float]) -> str:
    if not ready:
        return "No worker is running. None will start until the metric is published again."
    if depth.unfinished:
        return f"No worker is running. The first is expected in about {_rounded(ready[0])}."
    return f"No worker is running. The next photo starts one and waits about {_rounded(ready[0])}."


def _launched(seconds: float, machines: int, start: Starting) -> str:
    first = "The first" if machines == 1 else f"The first of {machines}"
    if start.launched_ago is None:
        return f"No worker is running yet. {first} is expected within {_rounded(seconds)}."
    when = "any moment" if seconds < _SOON_SECONDS else f"in about {_rounded(seconds)}"
    return f"No worker is running yet. {first} is expected {when} (launched {_rounded(start.launched_ago)} ago)."


def _rounded(seconds: float) -> str:
    """Return "40 s" or "3 min"."""
    tens = max(1, math.ceil(seconds / 10)) * 10
    return f"{tens} s" if tens < 60 else f"{max(1, round(seconds / 60))} min"


def _dead(number: int) -> Tile:
    return of(number, "jobs that failed too often", bad=number > 0)


def _backlog(tracked: Tracked, group: Group | None) -> Tile:
    if not tracked.points:
        return of("–", f"target {tracked.target:g}; nothing published", bad=True)
    newest = tracked.points[-1].value
    if group and group.desired >= group.maximum and newest > tracked.target:
        more = f"the group has its {group.maximum}: raise MaxWorkers"
        return of(f"{newest:g}", f"target {tracked.target:g}; {more}", bad=True)
    raised = group is not None and math.isclose(newest * group.desired, backlog.kept(tracked.target), rel_tol=1e-6)
    return of(f"{newest:g}", f"target {tracked.target:g}" + ("; raised, so that a machine stays" if raised else ""))


def _freshness(tracked: Tracked, now: float) -> Tile:
    if not tracked.points:
        return of(f"over {HOURS} h", "no data: check the logs of the metric machine", bad=True)
    age = max(0.0, now - tracked.points[-1].at)
    note = f"since the last value; stale after {STALE_AFTER_SECONDS:g} s"
    return of(span(age), note, bad=age > STALE_AFTER_SECONDS)


def _log(role: str, seen: Snapshot) -> str:
    """Return the address of the log of the first machine of a role; without one, of the list."""
    group = (seen.groups.data or {}).get(role)
    return (logs_link.of_machine(role, group.instances[0].id) if group and group.instances else "") or LISTED


def _backlog_chart(seen: Snapshot) -> Chart:
    """Return the backlog per instance, against its target."""
    found, tracked = seen.history.data, seen.tracked.data
    points = found.backlog if found else ()
    target = tracked.target if tracked else None
    return seen.frame.draw("Backlog per instance", seen.span.since, {"backlog": points}, target)


def _workers_chart(seen: Snapshot) -> Chart:
    """Return how many workers there were, and were wanted."""
    found = seen.history.data
    lines = {"in service": found.in_service, "wanted": found.desired} if found else {"in service": (), "wanted": ()}
    return seen.frame.draw("Workers", seen.span.since, lines)
