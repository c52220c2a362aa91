"""The result of a check: the state, what was found, what to do."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of what is checked. `UNKNOWN`: an emulator, or these credentials, can't tell."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


_WORST_FIRST = (State.FAILED, State.WARNING, State.UNKNOWN, State.OK)


@dataclass(frozen=True)
class Verdict:
    """The state, what was seen, and what to do (empty if nothing)."""

    state: State
    seen: str
    todo: str = ""


@dataclass(frozen=True)
class Finding:
    """A check's verdict under its name."""

    name: str
    verdict: Verdict

    def as_dict(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return {"name": self.name, **asdict(self.verdict)}


def ok(seen: str) -> Verdict:
    """All is well."""
    return Verdict(State.OK, seen)


def warning(seen: str, todo: str) -> Verdict:
    """It works now, but not for long or not under load."""
    return Verdict(State.WARNING, seen, todo)


def failed(seen: str, todo: str) -> Verdict:
    """Something doesn't work."""
    return Verdict(State.FAILED, seen, todo)


def unknown(seen: str, todo: str = "") -> Verdict:
    """The check can't tell."""
    return Verdict(State.UNKNOWN, seen, todo)


def not_here(what: str) -> Verdict:
    """An emulator has no such thing, so that nothing follows from it."""
    return unknown(f"not known here: the local AWS has no {what}")


def worst(verdicts: list[Verdict]) -> Verdict:
    """Combine verdicts: the worst state, with what was seen and what to do of all that have it."""
    state = next(state for state in _WORST_FIRST if any(one.state is state for one in verdicts))
    chosen = [one for one in verdicts if one.state is state]
    seen = dict.fromkeys(one.seen for one in chosen)
    todo = dict.fromkeys(one.todo for one in chosen if one.todo)
    return Verdict(state, "; ".join(seen), " ".join(todo))
