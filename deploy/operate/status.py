"""The state of the service on one screen, each part read by itself."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from botsite import pause
from deploy import background, stacks
from deploy.doctor import bot, edge, signals
from deploy.doctor.failures import not_known
from deploy.operate import cost, machines, pausing
from deploy.service import Service
from detection.record import timeline
from metrics import cloudwatch
from metrics.health.findings import Finding, failed, failed_if, ok
from metrics.health.photos import read_photos
from metrics.health.waiting import read_waits
from metrics.health.words import count

# With the start of the program, the command answers within five seconds.
SECONDS = 3.5
_SHOWN_SECONDS = 3600


def read_status(service: Service, seconds: float = SECONDS) -> dict[str, Finding[Any]]:
    """Read all parts at once; one that can't be read within the time says why, and hides no other.

    The `data` of each are for programs; it and its `more` are a line each, for people.
    """
    return background.gather({name: partial(part, service) for name, part in PARTS.items()}, seconds, not_known)


def read_stacks(service: Service) -> Finding[Any]:
    """Name the stacks that are not complete."""
    states = {part: stack.status if stack else "missing" for part, stack in stacks.find_all(service).items()}
    odd = {part: status for part, status in states.items() if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE")}
    more = [failed(f"{service.stack_name(part)} is {status}") for part, status in odd.items()]
    return ok(f"{len(states) - len(odd)} of {len(states)} complete", states).with_more(*more)


def count_jobs(service: Service) -> Finding[Any]:
    """Count the jobs that wait, those that machines have, and those that were given up."""
    depth = cloudwatch.queue(service.setting("JOBS_QUEUE_URL"))
    dead = cloudwatch.queue(service.output("queue", "JobsDlqUrl")).unfinished
    data = {"waiting": depth.visible, "in_work": depth.in_flight, "dead_letters": dead}
    # SQS counts these two together.
    taken = f"{depth.in_flight} in work or waiting for the next try" if depth.in_flight else "0 in work"
    found = ok(f"{depth.visible} waiting, {taken}", data)
    return found.with_more(failed(f"{count(dead, 'dead letter')}: `manage.py dlq list`")) if dead else found


def read_oldest(service: Service) -> Finding[Any]:
    """Tell how long the oldest photo has been waiting for a worker, and whether anybody is owed an answer.

    Of what `audit` checks this is the part that costs nothing more: the indexes have such photos first.
    """
    table = service.setting("PREDICTIONS_TABLE")
    found = read_waits(table)
    seconds = found.worker_seconds
    waits = "nothing waits" if seconds is None else f"waits for {timeline.readable(round(seconds) * 1000)}"
    seen = ok(waits, {"seconds": seconds, "overdue": found.overdue})
    if not found.overdue:
        return seen.with_more(ok("nobody has waited for an answer for more than an hour"))
    late = f"{count(found.overdue, 'photo')} unanswered for more than an hour"
    paused = pause.read(table)
    return seen.with_more(ok(f"{late}: {paused}") if paused else failed(f"{late}: `manage.py audit` names all"))


def count_photos(service: Service) -> Finding[Any]:
    """Count the photos of the last hour by their end."""
    found = read_photos(_SHOWN_SECONDS, table=service.setting("PREDICTIONS_TABLE"))
    waits = {f"p{percent}_ms": found.percentile(percent) for percent in (50, 95)}
    counts = {"failed": found.failed, "refused": found.refused, "undeliverable": found.undeliverable}
    data = {
        "photos": found.photos,
        "model": found.model,
        "minutes": _SHOWN_SECONDS / 60,
        "answered": found.answered,
        **waits,
        **counts,
    }
    p50, p95 = map(timeline.readable, waits.values())
    least = "more than " if found.sampled else ""
    waited = f"p50 {p50}, p95 {p95} of {count(found.answered, 'answer')}"
    more = [ok(f"the newest was answered by {found.model}")] if found.model else []
    if any(counts.values()):
        least_ends = " or more" if found.more else ""
        ends = ", ".join(f"{number}{least_ends} {name}" for name, number in counts.items() if number)
        more.append(failed_if(found.failed, ends))
    return ok(f"{least}{count(found.photos, 'photo')} in the last hour; {waited}", data).with_more(*more)


PARTS: Mapping[str, Callable[[Service], Finding[Any]]] = {
    "stacks": read_stacks,
    "pause": pausing.read_pause,
    "machines": machines.read_machines,
    "jobs": count_jobs,
    "oldest job": read_oldest,
    "photos": count_photos,
    "alarms": signals.read_alarms,
    "certificate": edge.read_certificate,
    "webhook": bot.read_webhook,
    "cost": cost.so_far,
}
