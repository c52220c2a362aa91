"""Write the report as the run goes on, so that an interrupted one has what was measured: Markdown and JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.acceptance import results
from deploy.acceptance.results import Result, State


@dataclass
class Report:
    """The report of one run. `about` says what ran where: it becomes the lines above the table."""

    folder: Path
    about: Mapping[str, str]
    # What is planned and has not begun.
    coming: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    # Somebody stopped the run.
    interrupted: bool = False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def good(self) -> bool:
        """Return whether the run is over, and all of it well."""
        return not (self.coming or self.interrupted) and results.good(self.results)

    def begin(self, result: Result) -> None:
        """Add the result of a step that begins."""
        self.coming = [title for title in self.coming if title != result.title]
        self.results.append(result)
        self.save()

    def save(self) -> None:
        """Write both files anew, each in one go: somebody may be reading."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("report.json", self.json()), ("report.md", self.markdown())):
            new = self.folder / f"{name}.new"
            new.write_text(text, encoding="utf-8")
            new.replace(self.folder / name)

    def json(self) -> str:
        """Return the report for programs; times are in seconds."""
        return json.dumps(self._data(), indent=1) + "\n"

    def _data(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "verdict": self.verdict(),
            "good": self.good,
            "steps": [asdict(one) for one in self.results],
            "not_begun": self.coming,
            "left": self.left,
        }

    def verdict(self) -> str:
        """Return the result in one sentence."""
        states = [one.state for one in self.results]
        counts = [(state, states.count(state)) for state in State if state in states]
        parts = [f"{count} {state}" for state, count in counts]
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


def _row(one: Result) -> str:
    measured = [one.note, *map(str, one.measures)]
    text = "<br>".join(_cell(part) for part in measured if part)
    return f"| {one.title} | {one.state} | {one.seconds:.0f} s | {text} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
