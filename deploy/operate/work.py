"""The work: what waits in the queue, and how the photos of the last hour went."""

from botsite.staff import recent, waiting
from deploy.operate.seen import Line, Mark, Seen, bad_if, count
from deploy.service import Service
from detection.record import timeline
from metrics import cloudwatch

_SECONDS = 3600


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
    seconds = waiting.read(service.setting("PREDICTIONS_TABLE")).worker_seconds
    waits = "nothing waits" if seconds is None else f"waits for {timeline.readable(round(seconds) * 1000)}"
    return Seen({"seconds": seconds}, (Line(waits),))


def photos(service: Service) -> Seen:
    """Count the photos of the last hour by their end."""
    found = recent.read(_SECONDS, table=service.setting("PREDICTIONS_TABLE"))
    waits = {f"p{percent}_ms": found.percentile(percent) for percent in (50, 95)}
    counts = {"failed": found.failed, "refused": found.refused, "undeliverable": found.undeliverable}
    data = {
        "photos": found.photos,
        "model": found.model,
        "minutes": _SECONDS / 60,
        "answered": found.answered,
        **waits,
        **counts,
    }
    p50, p95 = map(timeline.readable, waits.values())
    more = "more than " if found.sampled else ""
    waited = f"p50 {p50}, p95 {p95} of {count(found.answered, 'answer')}"
    lines = [Line(f"{more}{count(found.photos, 'photo')} in the last hour; {waited}")]
    if found.model:
        lines.append(Line(f"the newest was answered by {found.model}"))
    if any(counts.values()):
        least = " or more" if found.more else ""
        ends = ", ".join(f"{number}{least} {name}" for name, number in counts.items() if number)
        lines.append(bad_if(found.failed, ends))
    return Seen(data, tuple(lines))
