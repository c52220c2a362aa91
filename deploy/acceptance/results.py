"""What a step found: its state, and its measurements with their units."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """How a step ended. `UNKNOWN`: this place, such as an emulator, can't tell."""

    RUNNING = "running"
    PASSED = "pass"
    FAILED = "fail"
    UNKNOWN = "not known here"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class StepFailed(Exception):
    """The service didn't do what it should; the text says what was seen."""


@dataclass(frozen=True)
class Measure:
    """A number with its unit; None is not known here, and the note says why."""

    name: str
    value: float | None
    unit: str = ""
    note: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: not known here ({self.note})"
        text = f"{self.value:,.1f}" if self.value % 1 else f"{self.value:,.0f}"
        return f"{self.name} {text}{f' {self.unit}' if self.unit else ''}{f' ({self.note})' if self.note else ''}"


def unknown(name: str, why: str) -> Measure:
    """Return a measurement that can't be made here."""
    return Measure(name, None, note=why)


@dataclass
class Result:
    """A step's state, how long it took in seconds, and what it measured; `note` says why it did not pass."""

    step: str
    title: str
    state: State = State.RUNNING
    seconds: float = 0.0
    measures: list[Measure] = field(default_factory=list)
    note: str = ""

    @property
    def text(self) -> str:
        """Return what there is to say of it, in one line."""
        return "; ".join([*([self.note] if self.note else []), *map(str, self.measures)])


def good(results: Sequence[Result]) -> bool:
    """Return whether nothing failed, and nothing was left out because of that."""
    return all(one.state in (State.PASSED, State.UNKNOWN) for one in results)
