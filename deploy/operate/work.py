"""The work: what waits in the queue, and how the photos of the last hour went."""

from dataclasses import asdict

from botsite.staff import recent
from deploy.operate.seen import Line, Mark, Seen, bad_if, count
from deploy.service import Service
from detection import timeline
from metrics import cloudwatch

_MINUTES = 60


def jobs(service: Service) -> Seen:
    """Count the jobs that wait, those that machines have, and those that were given up."""
    depth = cloudwatch.queue(service.setting("JOBS_QUEUE_URL"))
    letters = cloudwatch.queue(service.output("queue", "JobsDlqUrl"))
    dead = letters.visible + letters.in_flight
    lines = [Line(f"{depth.visible} waiting, {depth.in_flight} in work")]
    if dead:
        lines.append(Line(f"{count(dead, 'dead letter')}: `manage.py dlq list`", Mark.BAD))
    return Seen({"waiting": depth.visible, "in_work": depth.in_flight, "dead_letters": dead}, tuple(lines))


def oldest(service: Service) -> Seen:
    """Tell how long the oldest photo has been waiting for a worker."""
    seconds = recent.oldest_waiting_seconds(service.setting("PREDICTIONS_TABLE"))
    waits = "nothing waits" if seconds is None else f"waits for {timeline.readable(round(seconds) * 1000)}"
    return Seen({"seconds": seconds}, (Line(waits),))


def photos(service: Service) -> Seen:
    """Count the photos of the last hour by their end."""
    found = recent.read(_MINUTES, service.setting("PREDICTIONS_TABLE"))
    total = sum(found.by_minute)
    data = {name: value for name, value in asdict(found).items() if not name.endswith("by_minute")}
    p50, p95 = timeline.readable(found.p50_ms), timeline.readable(found.p95_ms)
    lines = [Line(f"{total} in the last {found.minutes:.0f} min, {found.answered} answered (p50 {p50}, p95 {p95})")]
    if found.failed or found.undeliverable:
        lines.append(bad_if(found.failed > total / 10, f"{found.failed} failed, {found.undeliverable} undeliverable"))
    return Seen({"photos": total, **data}, tuple(lines))
