"""How times and durations read in the pages of jobs."""

from datetime import datetime

from django import template

from detection import timeline, times

register = template.Library()


@register.filter
def moment(time: datetime | str, length: int = 19) -> str:
    """Return "2026-11-24 18:10:12" for a time of an item, to the millisecond if `length` is 23; other texts stay."""
    text = times.text(time) if isinstance(time, datetime) else time
    return f"{text[:10]} {text[11:length]}" if text[10:11] == "T" else text


@register.filter
def duration(milliseconds: int | None) -> str:
    """Return milliseconds as people say them."""
    return timeline.readable(milliseconds)


@register.simple_tag
def between(start: str, end: str) -> str:
    """Return how long it is from one time of an item to another, or a dash if one of them is missing."""
    return timeline.readable(timeline.between_ms(times.parse(start), times.parse(end)))
