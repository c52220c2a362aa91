"""Filters of the list of jobs, and the index of the table that answers them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from botsite.staff.pages import BadLink
from detection.record import items, times
from detection.record.schemas import Delivery, Status

# DynamoDB would accept more, but a chat id has at most 52 bits (Bot API).
_LARGEST_CHAT_ID = 2**53
# The last moment of a day, as items hold times.
_DAYS_END = time(23, 59, 59, 999_000)


class JobState(StrEnum):
    """The states that a list tells apart: those of items, where a refused file has failed, too."""

    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"


Choice = TypeVar("Choice", JobState, Delivery)


class BadFilter(BadLink):
    """The address contains an invalid filter; the text says which."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The jobs to list; None means everything. `since` and `until` are aware, and part of the range."""

    status: JobState | None = None
    delivery: Delivery | None = None
    chat: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def partition(self) -> dict[str, Any]:
        """Return the attribute and value whose index has the fewest items to read.

        Nearly everything has succeeded and is delivered; anything else is rare.
        """
        if self.chat is not None:
            return {"chat_id": self.chat}
        asked = self._asked
        rare = [name for name, value in asked.items() if value not in (Status.SUCCEEDED, Delivery.DELIVERED)]
        for name in [*rare, *asked]:
            return {name: asked[name]}
        return {items.KIND: items.PHOTO}

    @property
    def narrowing(self) -> dict[str, Any]:
        """Return the filters the index cannot answer, to be compared item by item."""
        return {name: value for name, value in self._asked.items() if name not in self.partition}

    @property
    def _asked(self) -> dict[str, Any]:
        status = Status.FAILED if self.status is JobState.REFUSED else self.status
        given = {"status": status, "delivery": self.delivery}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def searching(self) -> bool:
        """Return whether items are compared that the list does not show."""
        return bool(self.narrowing) or self.by_reason

    @property
    def by_reason(self) -> bool:
        """Return whether items are told apart by their reasons, which no index has."""
        return self.status in (JobState.FAILED, JobState.REFUSED)

    def query(self) -> dict[str, Any]:
        """Return the arguments of the DynamoDB query, except where to start and how far to read."""
        ((key, value),) = self.partition.items()
        names, values = {"#key": key}, {":key": value}
        bounds = {":since": self.since, ":until": self.until}
        values |= {name: times.text(bound) for name, bound in bounds.items() if bound}
        asked: dict[str, Any] = {}
        if narrowing := self.narrowing:
            names |= {f"#{name}": name for name in narrowing}
            values |= {f":{name}": value for name, value in narrowing.items()}
            asked["FilterExpression"] = " AND ".join(f"#{name} = :{name}" for name in narrowing)
        return asked | {
            "IndexName": _INDEXES[key],
            "KeyConditionExpression": f"#key = :key{_RANGES[bool(self.since), bool(self.until)]}",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def address(self, **changed: Any) -> str:
        """Return the query string of this list with some filters changed; "?" lists everything."""
        given = {each.name: changed.get(each.name, getattr(self, each.name)) for each in fields(self)}
        return "?" + urlencode({name: _written(value) for name, value in given.items() if value not in (None, "")})


# By whether the range of time has a beginning, and an end.
_RANGES = {
    (False, False): "",
    (True, False): " AND created_at >= :since",
    (False, True): " AND created_at <= :until",
    (True, True): " AND created_at BETWEEN :since AND :until",
}
_INDEXES = {"chat_id": "by_chat", "status": "by_status", "delivery": "by_delivery", items.KIND: "by_time"}


def from_query(query: Mapping[str, str]) -> Filters:
    """Return the filters in an address. Raise BadFilter for an unknown one or a bad value.

    `day` stands for a range of time, as in the addresses of earlier releases.
    """
    known = {each.name for each in fields(Filters)} | {"day"}
    for name in query:
        if name not in known:
            raise BadFilter(f"Unknown filter {name!r}. Jobs can be filtered by {', '.join(sorted(known))}.")
    given = {name: value.strip() for name, value in query.items() if value.strip()}
    chosen = {name: _READERS[name](value) for name, value in given.items()}
    if day := chosen.pop("day", None):
        whole = {"since": datetime.combine(day, time(), UTC), "until": datetime.combine(day, _DAYS_END, UTC)}
        chosen = whole | chosen
    return Filters(**chosen)


def from_address(address: str) -> Filters:
    """Return the filters of an address that `Filters.address` made."""
    return from_query(dict(parse_qsl(address.removeprefix("?"))))


def clock(moment: datetime | None) -> str:
    """Return a time as a form's field takes it, in UTC, no more precise than it is; an empty text for None."""
    if moment is None:
        return ""
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    precision = "milliseconds" if moment.microsecond else "seconds" if moment.second else "minutes"
    return moment.isoformat(timespec=precision)


def _written(value: Any) -> Any:
    return clock(value) if isinstance(value, datetime) else value


def _chat(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise BadFilter(f"{text!r} is not a chat id. A chat id is a number, such as 42 or -1001234567890.") from error
    if abs(number) > _LARGEST_CHAT_ID:
        raise BadFilter(f"{text} is not a chat id: Telegram's are smaller.")
    return number


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadFilter(f"{text!r} is not a date. Write it as 2026-11-24.") from error


def _moment(text: str) -> datetime:
    try:
        return times.read(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadFilter(f"{text!r} is not a time. Write it as 2026-11-24T18:30, in UTC.") from error


def _one_of(choices: type[Choice], text: str) -> Choice:
    try:
        return choices(text)
    except ValueError as error:
        raise BadFilter(
            f"{text!r} is not a {choices.__name__.lower()}. The choices are {', '.join(choices)}."
        ) from error


_READERS: Mapping[str, Callable[[str], Any]] = {
    "status": partial(_one_of, JobState),
    "delivery": partial(_one_of, Delivery),
    "chat": _chat,
    "since": _moment,
    "until": _moment,
    "day": _day,
}
