"""What a check says: how it is, what was seen, what to do."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """How it is with what a check looks at. `UNKNOWN`: this place or these credentials do not tell."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


_WORST_FIRST = (State.FAILED, State.WARNING, State.UNKNOWN, State.OK)


@dataclass(frozen=True)
class Verdict:
    """A judgement: the state, what was seen as a sentence, and what to do (empty if there is nothing to do)."""

    state: State
    seen: str
    todo: str = ""


@dataclass(frozen=True)
class Finding:
    """The verdict of a check, under the check's name."""

    name: str
    verdict: Verdict

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON wants it."""
        return {"name": self.name, **asdict(self.verdict)}


def ok(seen: str) -> Verdict:
    """Return that all is well."""
    return Verdict(State.OK, seen)


def warning(seen: str, todo: str) -> Verdict:
    """Return that it works, and will not for long or not under load."""
    return Verdict(State.WARNING, seen, todo)


def failed(seen: str, todo: str) -> Verdict:
    """Return that something does not work."""
    return Verdict(State.FAILED, seen, todo)


def unknown(seen: str, todo: str = "") -> Verdict:
    """Return that nobody here can tell."""
    return Verdict(State.UNKNOWN, seen, todo)


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return one verdict for several: the worst state, with what was seen and is to be done about all that have it."""
    state = next(state for state in _WORST_FIRST if any(one.state is state for one in verdicts))
    chosen = [one for one in verdicts if one.state is state]
    seen = dict.fromkeys(one.seen for one in chosen)
    todo = dict.fromkeys(one.todo for one in chosen if one.todo)
    return Verdict(state, "; ".join(seen), " ".join(todo))
