"""What one part of the status shows: its data, for programs, and its lines, for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from detection.record import timeline

_NOT_KNOWN = "not_known"


class Mark(StrEnum):
    """How a line is meant. `UNKNOWN` is neither good nor bad."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Line:
    """A line of text."""

    text: str
    mark: Mark = Mark.OK


@dataclass(frozen=True)
class Seen:
    """What was read: for JSON, and in lines."""

    data: Mapping[str, object]
    lines: tuple[Line, ...]

    @property
    def known(self) -> bool:
        """Return whether anything of it is known."""
        return self.data.keys() != {_NOT_KNOWN}


def unknown(reason: str) -> Seen:
    """Return what is shown of something that could not be read."""
    return Seen({_NOT_KNOWN: reason}, (Line(reason, Mark.UNKNOWN),))


def bad_if(condition: object, text: str) -> Line:
    """Return a line that is bad under a condition."""
    return Line(text, Mark.BAD if condition else Mark.OK)


def age(span: timedelta) -> str:
    """Return a span of time in two units at most."""
    if span.days:
        return f"{span.days} d {span.seconds // 3600} h"
    return timeline.readable(round(max(span.total_seconds(), 0)) * 1000)


def count(number: int, noun: str) -> str:
    """Return "1 photo", "2 photos"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
