"""Filters of the list of jobs, and the index of the table that answers them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from detection import items
from detection.schemas import Delivery, Status

# DynamoDB would accept more, but a chat id has at most 52 bits (Bot API).
_LARGEST_CHAT_ID = 2**53
Choice = TypeVar("Choice", Status, Delivery)


class BadFilter(ValueError):
    """The address contains an invalid filter; the text says which."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What to list; None means everything. `day` is in UTC."""

    status: Status | None = None
    delivery: Delivery | None = None
    chat: int | None = None
    day: date | None = None

    @property
    def partition(self) -> dict[str, Any]:
        """Return the attribute and value whose index has the fewest items to read.

        Nearly everything has succeeded and is delivered; anything else is rare.
        """
        if self.chat is not None:
            return {"chat_id": self.chat}
        given = {"status": self.status, "delivery": self.delivery}
        asked = {name: value for name, value in given.items() if value is not None}
        rare = [name for name, value in asked.items() if value not in (Status.SUCCEEDED, Delivery.DELIVERED)]
        for name in [*rare, *asked]:
            return {name: asked[name]}
        return {items.KIND: items.PHOTO}

    @property
    def narrowing(self) -> dict[str, Any]:
        """Return the filters the index cannot answer, to be compared item by item."""
        given = {"status": self.status, "delivery": self.delivery}
        return {name: value for name, value in given.items() if value is not None and name not in self.partition}

    def query(self) -> dict[str, Any]:
        """Return the arguments of the DynamoDB query, except where to start and how far to read."""
        ((key, value),) = self.partition.items()
        names, values, condition = {"#key": key}, {":key": value}, "#key = :key"
        if self.day:
            condition += " AND created_at BETWEEN :first AND :last"
            values |= {":first": f"{self.day}T00:00:00.000Z", ":last": f"{self.day}T23:59:59.999Z"}
        asked: dict[str, Any] = {}
        if self.narrowing:
            names |= {f"#{name}": name for name in self.narrowing}
            values |= {f":{name}": value for name, value in self.narrowing.items()}
            asked["FilterExpression"] = " AND ".join(f"#{name} = :{name}" for name in self.narrowing)
        return asked | {
            "IndexName": _INDEXES[key],
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def address(self, **changed: Any) -> str:
        """Return the query string of this list with some filters changed; "?" lists everything."""
        given = {each.name: changed.get(each.name, getattr(self, each.name)) for each in fields(self)}
        return "?" + urlencode({name: value for name, value in given.items() if value not in (None, "")})


_INDEXES = {"chat_id": "by_chat", "status": "by_status", "delivery": "by_delivery", items.KIND: "by_time"}


def read(query: Mapping[str, str]) -> Filters:
    """Return the filters in an address. Raise BadFilter for an unknown one or a bad value."""
    known = {each.name for each in fields(Filters)}
    for name in query:
        if name not in known:
            raise BadFilter(f"Unknown filter {name!r}. Jobs can be filtered by {', '.join(sorted(known))}.")
    given = {name: value.strip() for name, value in query.items() if value.strip()}
    return Filters(**{name: _READERS[name](value) for name, value in given.items()})


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


def _one_of(choices: type[Choice], text: str) -> Choice:
    try:
        return choices(text)
    except ValueError as error:
        raise BadFilter(
            f"{text!r} is not a {choices.__name__.lower()}. The choices are {', '.join(choices)}."
        ) from error


_READERS: Mapping[str, Callable[[str], Any]] = {
    "status": partial(_one_of, Status),
    "delivery": partial(_one_of, Delivery),
    "chat": _chat,
    "day": _day,
}
