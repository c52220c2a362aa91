"""Parse log lines, JSON or text as botsite/logs.py writes them, and choose those that were asked for."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from botsite import logs
from botsite.roles import Role
from detection.record import times

LEVELS = ("debug", "info", "warning", "error", "critical")
_TEXT = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\S+Z) \[(?P<level>\w+) *\] (?P<event>.*?)(?P<fields>(?:\s+\w+=\S.*)?)$")
_FIELD = re.compile(r"""(\w+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)""")
# Fields that only make CloudWatch count an event (botsite/counters.py).
_OF_COUNTERS = ("_aws", "LogGroup")
# Written at each tick, mostly with the same numbers.
_REPEATED = "metrics_published"
_SINCE = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Source:
    """The origin of a line: a machine of a role, by the end of its id."""

    role: Role
    machine: str

    def __str__(self) -> str:
        return f"{self.role.name}-{self.machine[-4:]}" if self.machine else self.role.name


@dataclass(frozen=True)
class LogLine:
    """A log line. `level` is empty for what a library prints; `event` is then the whole text."""

    at: datetime
    source: Source
    level: str
    event: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class WantedLines:
    """Which lines to show: of these roles, since a time, of one photo, of a level and those above, of these events."""

    roles: Sequence[Role]
    since: datetime
    prediction_id: str = ""
    level: str = ""
    events: Sequence[str] = ()

    @property
    def levels(self) -> Sequence[str]:
        """Return the wanted levels; none means all, and lines without one."""
        return LEVELS[LEVELS.index(self.level) :] if self.level else ()

    def takes(self, entry: LogLine) -> bool:
        """Return whether the line is one of them."""
        if entry.at < self.since or (self.level and entry.level not in self.levels):
            return False
        if self.events and entry.event not in self.events:
            return False
        return not self.prediction_id or self.prediction_id in (entry.fields.get("prediction_id"), *entry.event.split())


def worth_reading(entries: Iterable[LogLine]) -> Iterator[LogLine]:
    """Yield the entries but for metrics that repeat the one before, and `doctor`'s own probes."""
    last: Mapping[str, object] = {}
    for entry in entries:
        if entry.fields.get("prediction_id") == logs.PROBE or (entry.event == _REPEATED and entry.fields == last):
            continue
        last = entry.fields if entry.event == _REPEATED else last
        yield entry


def since(text: str, now: datetime) -> datetime:
    """Return the time that "10m", "2h", "1d" or an ISO 8601 time means; raise ValueError if it means none."""
    if found := _SINCE.fullmatch(text.strip()):
        try:
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        except OverflowError:
            return times.NEVER
    return times.read(text)


def parse_line(text: str, source: Source, at: datetime) -> LogLine | None:
    """Return the entry of a line, None for the inside of a traceback or banner; `at` is for one without a time."""
    if text.startswith("{"):
        try:
            return _json(json.loads(text), source, at)
        except (json.JSONDecodeError, AttributeError):
            return LogLine(at, source, "", text.strip())
    if found := _TEXT.match(text):
        fields = {name: _unquoted(value) for name, value in _FIELD.findall(found["fields"])}
        return LogLine(times.parse(found["time"]) or at, source, found["level"], found["event"].strip(), fields)
    if not text.strip() or text.startswith((" ", "\t", "-", "Traceback (most recent call last)")):
        return None
    return LogLine(at, source, "", text.strip())


def _unquoted(value: str) -> str:
    return value[1:-1] if value[0] in "'\"" and value[-1] == value[0] and len(value) > 1 else value


def _json(line: dict[str, object], source: Source, at: datetime) -> LogLine:
    event, level = str(line.get("event", "")), str(line.get("level", ""))
    hidden = ("time", "level", "event", event, *_OF_COUNTERS)
    fields = {name: value for name, value in line.items() if name not in hidden}
    return LogLine(times.parse(str(line.get("time", ""))) or at, source, level, event, fields)


def as_dict(entry: LogLine) -> dict[str, object]:
    """Return an entry for JSON."""
    where = {"time": times.text(entry.at), "role": entry.source.role.name, "machine": entry.source.machine}
    return {**where, "level": entry.level, "event": entry.event, **entry.fields}


def values(entry: LogLine) -> str:
    """Return the fields on one line: of a traceback its last line, which says what happened."""
    shown = {name: str(value) for name, value in entry.fields.items()}
    if "exception" in shown:
        shown["exception"] = shown["exception"].strip().rpartition("\n")[2]
    return printable(" ".join(f"{name}={value}" for name, value in shown.items()))


def printable(text: str) -> str:
    """Return text in which nothing moves a terminal's cursor: lines may quote what strangers sent."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)
