"""Filters for times and durations."""

from datetime import datetime

from django import template

from detection.record import timeline, times

register = template.Library()


@register.filter
def moment(time: datetime | str, length: int = 19) -> str:
    """Return "2026-11-24 18:10:12" for a time of an item (`length` 23: with milliseconds); other texts unchanged."""
    text = times.text(time) if isinstance(time, datetime) else time
    return f"{text[:10]} {text[11:length]}" if text[10:11] == "T" else text


@register.filter
def duration(milliseconds: int | None) -> str:
    """Return milliseconds in a readable unit."""
    return timeline.readable(milliseconds)


@register.simple_tag
def between(start: str, end: str) -> str:
    """Return the time between two times of an item, or a dash if one is missing."""
    return timeline.readable(timeline.between_ms(times.parse(start), times.parse(end)))
