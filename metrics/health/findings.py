"""Say how something is, in one shape: readers return a Finding; commands and pages choose from it and render it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, ParamSpec, TypeVar

from botsite import aws

Value = TypeVar("Value")
Asked = ParamSpec("Asked")


class Health(StrEnum):
    """A state. `UNKNOWN`: an emulator, or these credentials, can't tell; that is neither good nor bad."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


_WORST_FIRST = (Health.FAILED, Health.WARNING, Health.UNKNOWN, Health.OK)


# Words for what an emulator has no answer to.
NOT_HERE = "not known here"


class NotKnownHere(Exception):
    """This place, such as an emulator, doesn't have the answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Finding(Generic[Value]):
    """A state with what was `seen` and what to do (empty if nothing); `data` are values, for programs and pages.

    `more` are findings about parts of it, each a line of its own.
    """

    name: str
    state: Health
    seen: str = ""
    todo: str = ""
    data: Value | None = None
    more: "tuple[Finding[Any], ...]" = ()

    @property
    def known(self) -> bool:
        """Return whether anything is known, even if it is None."""
        return self.state is not Health.UNKNOWN

    @property
    def unanswered(self) -> bool:
        """Return whether nobody can tell, though somebody should: an emulator needn't."""
        return not self.known and NOT_HERE not in self.seen

    @property
    def text(self) -> str:
        """Return on one line what was seen, and what to do."""
        return " -> ".join(filter(None, (self.seen, self.todo)))

    def as_dict(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return {"name": self.name, "state": self.state, "seen": self.seen, "todo": self.todo}

    def with_more(self, *parts: "Finding[Any]") -> "Finding[Value]":
        """Return it with findings about parts of it."""
        return replace(self, more=parts)

    def called(self, name: str) -> "Finding[Value]":
        """Return it with a name."""
        return replace(self, name=name)


def known(data: Value) -> Finding[Value]:
    """Return what was read, without judging it."""
    return Finding("", Health.OK, data=data)


def ok(seen: str, data: Any = None) -> Finding[Any]:
    """All is well."""
    return Finding("", Health.OK, seen, data=data)


def warning(seen: str, todo: str = "", data: Any = None) -> Finding[Any]:
    """It works now, but not for long or not under load; without a `todo`, it is only worth a look."""
    return Finding("", Health.WARNING, seen, todo, data)


def failed(seen: str, todo: str = "", data: Any = None) -> Finding[Any]:
    """Something doesn't work."""
    return Finding("", Health.FAILED, seen, todo, data)


def failed_if(condition: object, seen: str, data: Any = None) -> Finding[Any]:
    """Return a finding that is bad under a condition."""
    return failed(seen, data=data) if condition else ok(seen, data)


def unknown(seen: str, todo: str = "") -> Finding[Any]:
    """Nobody can tell."""
    return Finding("", Health.UNKNOWN, seen, todo)


def not_here(what: str) -> Finding[Any]:
    """An emulator has no such thing, so that nothing follows from it."""
    return unknown(f"{NOT_HERE}: the local AWS has no {what}")


def worst(found: Sequence[Finding[Any]]) -> Finding[Any]:
    """Combine findings: the worst state, with what was seen and what to do of all that have it."""
    state = next(state for state in _WORST_FIRST if any(one.state is state for one in found))
    chosen = [one for one in found if one.state is state]
    seen = dict.fromkeys(one.seen for one in chosen)
    todo = dict.fromkeys(one.todo for one in chosen if one.todo)
    return Finding("", state, "; ".join(seen), " ".join(todo))


def only_on_aws(what: str) -> Callable[[Callable[Asked, Finding[Any]]], Callable[Asked, Finding[Any]]]:
    """Have a reader find, where AWS is emulated, that the local AWS has no such thing."""
    return aws.real_only(not_here(what))


def unless_emulated(why: str) -> None:
    """Raise NotKnownHere where AWS is emulated; on AWS, what was or wasn't found is an answer."""
    if aws.emulated():
        raise NotKnownHere(why)
