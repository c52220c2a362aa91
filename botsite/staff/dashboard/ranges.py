"""The times that the dashboard can show, all of them in the same number of slots."""

from collections.abc import Mapping
from dataclasses import dataclass

from botsite.staff.jobs.filters import BadFilter

_SLOTS = 60


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A time up to now, by its name in the address. What it shows of the past is read every `every_seconds`."""

    name: str
    words: str
    seconds: int
    every_seconds: float

    @property
    def slot(self) -> int:
        """Return the seconds of a slot: a multiple of 60, as CloudWatch wants its periods."""
        return self.seconds // _SLOTS

    @property
    def since(self) -> str:
        """Return when it began, in words."""
        return f"{self.words} ago"


RANGES = {
    one.name: one
    for one in (
        TimeRange("1h", "1 hour", 3600, 5.0),
        TimeRange("3h", "3 hours", 3 * 3600, 10.0),
        TimeRange("24h", "24 hours", 24 * 3600, 15.0),
        TimeRange("7d", "7 days", 7 * 24 * 3600, 30.0),
    )
}
DEFAULT = RANGES["1h"]


def from_query(query: Mapping[str, str]) -> TimeRange:
    """Return the range in an address, the default without one. Raise BadFilter for an unknown one."""
    name = query.get("range") or DEFAULT.name
    if name not in RANGES:
        raise BadFilter(f"{name!r} is not a time range. The choices are {', '.join(RANGES)}.")
    return RANGES[name]
