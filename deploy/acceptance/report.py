"""What the steps found: shown as they end, and written as the run goes on, so that an interrupted one has a report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text


class StepState(StrEnum):
    """How a step ended. `UNKNOWN`: this place, such as an emulator, can't tell."""

    RUNNING = "running"
    PASSED = "pass"
    FAILED = "fail"
    UNKNOWN = "not known here"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


_COLOURS = {StepState.PASSED: "green", StepState.FAILED: "bold red", StepState.UNKNOWN: "cyan"}


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


@dataclass
class StepResult:
    """A step's state, how long it took in seconds, and what it measured; `note` says why it did not pass."""

    step: str
    title: str
    state: StepState = StepState.RUNNING
    seconds: float = 0.0
    measures: list[Measure] = field(default_factory=list)
    note: str = ""

    @property
    def lines(self) -> list[str]:
        """Return the note and the measurements, a line each."""
        return [*([self.note] if self.note else []), *map(str, self.measures)]


@dataclass
class AcceptanceReport:
    """The report of one run. `about` says what ran where; `coming` are titles of steps that have not begun."""

    folder: Path
    about: Mapping[str, str]
    coming: list[str] = field(default_factory=list)
    results: list[StepResult] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    # Somebody stopped the run.
    interrupted: bool = False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def good(self) -> bool:
        """Return whether the run is over, nothing failed, and nothing was left out because of that."""
        well = all(one.state in (StepState.PASSED, StepState.UNKNOWN) for one in self.results)
        return well and not (self.coming or self.interrupted)

    def passed(self, name: str) -> bool:
        """Return whether a step has passed."""
        return any(one.step == name and one.state is StepState.PASSED for one in self.results)

    def begin(self, result: StepResult) -> None:
        """Add the result of a step that begins."""
        self.coming = [title for title in self.coming if title != result.title]
        self.results.append(result)
        self.save()

    def save(self) -> None:
        """Replace both files, each in one go: somebody may be reading."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("report.json", self.json()), ("report.md", self.markdown())):
            new = self.folder / f"{name}.new"
            new.write_text(text, encoding="utf-8")
            new.replace(self.folder / name)

    def json(self) -> str:
        """Return the report for programs; times are in seconds."""
        data = {
            "about": self.about,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "verdict": self.verdict(),
            "good": self.good,
            "steps": [asdict(one) for one in self.results],
            "not_begun": self.coming,
            "left": self.left,
        }
        return json.dumps(data, indent=1) + "\n"

    def verdict(self) -> str:
        """Return the result in one sentence."""
        states = [one.state for one in self.results]
        parts = [f"{states.count(state)} {state}" for state in StepState if state in states]
        parts += [f"{len(self.coming)} not begun"] if self.coming else []
        return f"{len(states) + len(self.coming)} steps: {', '.join(parts)}."

    def markdown(self) -> str:
        """Return the report for people, to be pasted into a page."""
        lines = [f"Acceptance run of {self.started_at:%Y-%m-%d %H:%M} UTC. {self.verdict()}", ""]
        lines += [f"* {name}: {value}" for name, value in self.about.items()]
        lines += ["", "| step | result | took | measured |", "|---|---|---:|---|"]
        lines += [_row(one) for one in self.results]
        lines += [f"| {name} | not begun | | |" for name in self.coming]
        if self.left:
            lines += ["", "Left behind:", "", *(f"* {one}" for one in self.left)]
        return "\n".join(lines) + "\n"


def _row(one: StepResult) -> str:
    text = "<br>".join(" ".join(line.split()).replace("|", "\\|") for line in one.lines)
    return f"| {one.title} | {one.state} | {one.seconds:.0f} s | {text} |"


class StepScreen:
    """Prints a line for each step; a terminal also shows what the step does just now."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Progress | None = None

    def begins(self, title: str) -> None:
        """Show that a step begins."""
        if not self._console.is_terminal:
            self.line(f"... {title}")
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._live = Progress(*columns, TextColumn("{task.fields[act]}"), console=self._console, transient=True)
        self._live.add_task(title, total=None, act="")
        self._live.start()

    def say(self, text: str) -> None:
        """Show what the step does just now."""
        if self._live:
            width = max(20, self._console.width - 60)
            self._live.update(self._live.task_ids[0], act=text.splitlines()[0][:width] if text else "")

    def ends(self, result: StepResult) -> None:
        """Print how a step ended."""
        if self._live:
            self._live.stop()
            self._live = None
        line = Text(f"{result.state:<15}", _COLOURS.get(result.state, "yellow"))
        self._console.print(line.append(f"{result.title} ({result.seconds:.0f} s)", "bold"), soft_wrap=True)
        if result.lines:
            self.line(f"{'':<15}{'; '.join(result.lines)}")

    def line(self, text: str) -> None:
        """Print a line."""
        self._console.print(Text(text), soft_wrap=True)
