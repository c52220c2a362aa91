"""Turn readings of the service into the sections of the dashboard; what could not be read is shown as unknown.

Red is only what somebody has to do something about: a queue, a group that grows and files that are no photos are not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from django.urls import reverse

from botsite.staff import alarm_list, first_worker, limited, logs_link, machines, trends
from botsite.staff.job_filters import Filters, State
from botsite.staff.recent import Recent
from botsite.staff.sources import Snapshot
from botsite.staff.tiles import Section, Tile, count, of, span, tile
from detection.record import timeline
from detection.record.schemas import Delivery
from metrics import backlog
from metrics.cloudwatch import STALE_AFTER_SECONDS, Group
from metrics.service import HOURS, Tracked

# With fewer answers the 95th percentile is the longest of them.
_ENOUGH_FOR_P95 = 20
_LISTED = "#table-machines"


def all_of(seen: Snapshot) -> list[Section]:
    """Return the sections of the page, from the queue to the alarms."""
    return [_queue(seen), _photos(seen), *limited.sections(seen), _machines(seen), _alarms(seen)]


def attention(sections: Sequence[Section]) -> list[Tile]:
    """Return the tiles that somebody has to do something about."""
    return [each for section in sections for each in section.tiles if each.bad]


def unknown(sections: Sequence[Section]) -> int:
    """Return how many tiles are unknown."""
    return sum(each.unknown for section in sections for each in section.tiles)


def _queue(seen: Snapshot) -> Section:
    return Section(
        "Queue",
        (
            tile("Waiting", seen.queue, lambda queue: of(queue.visible, "jobs without a worker"), _jobs(State.QUEUED)),
            tile("In progress", seen.queue, lambda queue: of(queue.in_flight, "jobs in work"), _jobs(State.PROCESSING)),
            tile(
                "Oldest waiting", seen.waiting, lambda now: _wait(now.worker_seconds, "a worker"), _jobs(State.QUEUED)
            ),
            tile("Dead letters", seen.dead, _dead, reverse("ops:letters")),
            tile("Backlog per instance", seen.tracked, lambda now: _backlog(now, seen.workers), "#chart-backlog"),
            tile("Metric freshness", seen.tracked, lambda now: _freshness(now, seen.at), _log("metricStreamer", seen)),
        ),
        (trends.backlog(seen), trends.workers(seen)),
        _first_worker(seen),
    )


def _first_worker(seen: Snapshot) -> str:
    # Nothing starts one before the service is resumed.
    if seen.paused.value:
        return ""
    return first_worker.words(seen.queue.value, seen.workers, seen.tracked.value, seen.at)


def _photos(seen: Snapshot) -> Section:
    photos = seen.photos
    return Section(
        "Photos",
        (
            tile(
                "Longest wait now",
                seen.waiting,
                lambda now: _wait(now.answer_seconds, "an answer"),
                _jobs(State.PROCESSING),
            ),
            tile(
                "Time to answer, p50", photos, lambda recent: _percentile(recent, 50), _jobs(State.SUCCEEDED, seen=seen)
            ),
            tile(
                "Time to answer, p95", photos, lambda recent: _percentile(recent, 95), _jobs(State.SUCCEEDED, seen=seen)
            ),
            tile("Photos per minute", photos, _rate, _jobs(seen=seen)),
            tile("Our failures", photos, _failures, _jobs(State.FAILED, seen=seen)),
            tile("Refused files", photos, _refused, _jobs(State.REFUSED, seen=seen)),
            tile("Undeliverable", photos, _lost, _jobs(delivery=Delivery.UNDELIVERABLE, seen=seen)),
            tile("Feedback", seen.feedback, _said, reverse("ops:feedback")),
        ),
        trends.photos(seen),
    )


def _machines(seen: Snapshot) -> Section:
    groups = seen.groups
    return Section(
        "Machines",
        (
            tile("Workers in service", groups, lambda found: _in_service(found["yolo5"], seen), _LISTED),
            tile("Workers wanted", groups, lambda found: _wanted(found["yolo5"]), "#chart-workers"),
            tile("Sites", groups, lambda found: _fixed("polybot", found, seen), _LISTED),
            tile(
                "Metric machine",
                groups,
                lambda found: _fixed("metricStreamer", found, seen),
                _LISTED,
            ),
            replace(machines.versions(seen), link=_LISTED),
            replace(machines.models(seen), link=_jobs(State.SUCCEEDED, seen=seen)),
        ),
        table=machines.table(seen),
    )


def _alarms(seen: Snapshot) -> Section:
    if not seen.alarms.known:
        return Section("Alarms", (Tile("Alarms on", "unknown", seen.alarms.reason, unknown=True),))
    return Section("Alarms", alarm_list.tiles(seen.alarms.value or []), table=alarm_list.table(seen))


def _jobs(status: State | None = None, delivery: Delivery | None = None, seen: Snapshot | None = None) -> str:
    """Return the address of the list of these jobs, of the time that is shown if there is a `seen`."""
    since = datetime.fromtimestamp((seen.at - seen.span.seconds) // 60 * 60, UTC) if seen else None
    return reverse("admin:detection_job_changelist") + Filters(status=status, delivery=delivery, since=since).address()


def _log(role: str, seen: Snapshot) -> str:
    """Return the address of the log of the first machine of a role; without one, of the list."""
    group = (seen.groups.value or {}).get(role)
    return (logs_link.of_machine(role, group.instances[0].id) if group and group.instances else "") or _LISTED


def _wait(seconds: float | None, what: str) -> Tile:
    return of("–", "nobody waits") if seconds is None else of(span(seconds), f"for {what}")


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


def _percentile(recent: Recent, percent: int) -> Tile:
    value, answered = timeline.readable(recent.percentile(percent)), recent.answered
    if not answered:
        return of("–", f"no answer in {_in(recent)}")
    if percent > 50 and answered < _ENOUGH_FOR_P95:
        return of(value, f"the longest of {count(answered, 'photo')} in {_in(recent)}")
    sample = "a sample of " if recent.sampled else ""
    return of(value, f"of {sample}{count(answered, 'photo')} in {_in(recent)}")


def _rate(recent: Recent) -> Tile:
    more = "more than " if recent.sampled else ""
    return of(f"{recent.last_minute:,}", f"in the last minute; {more}{recent.photos:,} in {_in(recent)}")


def _failures(recent: Recent) -> Tile:
    todo = "; see why, then retry or delete them" if recent.failed else ""
    return of(_at_least(recent, recent.failed), f"in {_in(recent)}{todo}", bad=recent.failed > 0)


def _refused(recent: Recent) -> Tile:
    return of(
        _at_least(recent, recent.refused), f"no photos, or over a limit, in {_in(recent)}; their senders were told"
    )


def _lost(recent: Recent) -> Tile:
    return of(_at_least(recent, recent.undeliverable), f"answers in {_in(recent)}: the chat is gone or blocks the bot")


def _said(number: int) -> Tile:
    return of(f"{number:,}", "answers of the last 24 hours that people say are wrong")


def _in_service(group: Group, seen: Snapshot) -> Tile:
    parts = [machines.workers(seen), f"{group.pending} more starting" if group.pending else ""]
    return of(group.in_service, "; ".join(filter(None, parts)), bad=machines.silent("yolo5", seen) > 0)


def _wanted(group: Group) -> Tile:
    if group.suspended:
        return of(group.desired, f"the group may not {', '.join(group.suspended)}: resume that", bad=True)
    return of(group.desired, f"{group.minimum} to {group.maximum}")


def _fixed(role: str, groups: Mapping[str, Group], seen: Snapshot) -> Tile:
    if (group := groups.get(role)) is None:
        return of("–", "the group is gone: run `manage.py provision`", bad=True)
    none = group.in_service == 0 < group.desired
    return of(group.in_service, f"of {group.desired} in service", bad=none or machines.silent(role, seen) > 0)


def _at_least(recent: Recent, number: int) -> str:
    return f"{number:,}" + ("+" if recent.more and number else "")


def _in(recent: Recent) -> str:
    hours = round(recent.seconds / 3600)
    if hours == 1:
        return "the last hour"
    return f"the last {hours // 24} days" if hours > 24 else f"the last {hours} hours"
