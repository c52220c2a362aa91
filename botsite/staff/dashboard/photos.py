"""The photos on the dashboard: how long people wait, what failed or was refused, and who sends more than they may."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from django.urls import reverse

from botsite.bot.incoming.limits import Limited
from botsite.pause import Pause
from botsite.staff.dashboard.charts import Chart
from botsite.staff.dashboard.queue import longest
from botsite.staff.dashboard.sources import Snapshot
from botsite.staff.dashboard.tiles import Cell, Row, Section, Table, Tile, jobs, of, tile
from botsite.staff.jobs.filters import JobState
from detection.record import timeline
from detection.record.schemas import Delivery
from metrics.evaluation import Point
from metrics.health import slots
from metrics.health.photos import Recent
from metrics.health.slots import Slot
from metrics.health.waiting import Waiting
from metrics.health.words import count, span

# With fewer answers the 95th percentile is the longest of them.
_ENOUGH_FOR_P95 = 20


def section(seen: Snapshot) -> Section:
    """Return how photos went in the time that is shown, with their charts."""
    photos, since = seen.photos, seen.since
    answered = jobs(JobState.SUCCEEDED, since=since)
    return Section(
        "Photos",
        (
            tile(
                "Longest wait now",
                seen.waiting,
                lambda now: longest(now.answer_seconds, "an answer"),
                jobs(JobState.PROCESSING),
            ),
            tile("Owed an answer", seen.waiting, lambda now: _owed(now, seen.paused.data), jobs()),
            tile("Time to answer, p50", photos, lambda recent: _percentile(recent, 50), answered),
            tile("Time to answer, p95", photos, lambda recent: _percentile(recent, 95), answered),
            tile("Photos per minute", photos, _rate, jobs(since=since)),
            tile("Our failures", photos, _failures, jobs(JobState.FAILED, since=since)),
            tile("Refused files", photos, _refused, jobs(JobState.REFUSED, since=since)),
            tile("Undeliverable", photos, _lost, jobs(delivery=Delivery.UNDELIVERABLE, since=since)),
            tile("Feedback", seen.feedback, _said, reverse("ops:feedback")),
        ),
        _charts(seen),
    )


def limited(seen: Snapshot) -> list[Section]:
    """Return the section of those who have sent more than one person may; none while nobody was kept out."""
    found = seen.limited
    if found.known and not found.data:
        return []
    people = tuple(_person(each, seen.at) for each in found.data or [])
    table = Table("Limited", people, empty=f"Unknown: {found.seen}")
    return [Section("Limits", (tile("People over a limit", found, _people),), table=table)]


def _people(people: Sequence[Limited]) -> Tile:
    photos = sum(each.count.refused for each in people)
    return of(len(people), f"in two days; {count(photos, 'photo')} kept out")


def _person(limited: Limited, now: float) -> Row:
    kept = limited.count
    today = kept.day == f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"
    ago = now - kept.refused_at.timestamp() if kept.refused_at else None
    cells = (
        Cell("Person", limited.person),
        Cell("Last kept out", f"{span(ago)} ago"),
        Cell("Limit", f"a {kept.refused_by}"),
        Cell("Let through today", str(kept.in_day if today else 0)),
        Cell("Kept out that day", str(kept.refused)),
    )
    return Row(limited.person, cells)


def _owed(now: Waiting, paused: Pause | None) -> Tile:
    names = "; `manage.py audit` names all" if now.overdue else ""
    return of(now.overdue, f"waiting for more than an hour{names}", bad=now.overdue > 0 and paused is None)


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
    note = f"no photos, or over a limit, in {_in(recent)}; their senders were told"
    return of(_at_least(recent, recent.refused), note)


def _lost(recent: Recent) -> Tile:
    return of(_at_least(recent, recent.undeliverable), f"answers in {_in(recent)}: the chat is gone or blocks the bot")


def _said(number: int) -> Tile:
    return of(f"{number:,}", "answers of the last 24 hours that people say are wrong")


def _at_least(recent: Recent, number: int) -> str:
    return f"{number:,}" + ("+" if recent.more and number else "")


def _in(recent: Recent) -> str:
    hours = round(recent.seconds / 3600)
    if hours == 1:
        return "the last hour"
    return f"the last {hours // 24} days" if hours > 24 else f"the last {hours} hours"


def _charts(seen: Snapshot) -> tuple[Chart, Chart]:
    """Return how many photos came and failed, and how long people waited."""
    found = seen.photos.data
    cut = found.slots if found else ()
    name = "photos, estimated" if found and found.sampled else "photos"
    counts = {
        name: _points(cut, lambda slot: slot.per_minute(slot.photos)),
        "our failures": _points(cut, lambda slot: slot.per_minute(slot.failed)),
        "refused files": _points(cut, lambda slot: slot.per_minute(slot.refused)),
    }
    waits = {f"p{percent}": _waits(cut, percent) for percent in (50, 95)}
    # Of many photos, several slots are one.
    frame = replace(seen.frame, gap=4.0 * seen.span.slot)
    return (
        frame.draw("Photos per minute", seen.span.since, counts),
        frame.draw("Time to answer", seen.span.since, waits, say=lambda value: timeline.readable(round(value))),
    )


def _points(cut: tuple[Slot, ...], value: Callable[[Slot], float]) -> list[Point]:
    return [Point(slot.at, value(slot)) for slot in cut]


def _waits(cut: tuple[Slot, ...], percent: float) -> list[Point]:
    found = [(slot.at, slots.percentile([slot], percent)) for slot in cut]
    return [Point(at, value) for at, value in found if value is not None]
