"""Show the progress of a load test: bars on a terminal, elsewhere a line every ten seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from deploy.loadtest import report
from deploy.loadtest.follow import GRACE_SECONDS, LoadRun

_LINE_SECONDS = 10.0


class Screen:
    """The screen of one load test."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[detail]}")
        )
        self._rows = {name: self._bars.add_task(name, total=1, detail="") for name in ("sent", "taken", "answered")}
        self._state = Text()
        self._line_at = 0.0
        self._stopping = False

    def step(self, text: str) -> None:
        """Print a step of the preparation or of the end."""
        self._console.print(Text("→ ", style="bold") + Text(text))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep the bars on the terminal for the length of the block."""
        if not self._console.is_terminal:
            yield
            return
        with Live(Group(self._bars, self._state), console=self._console, refresh_per_second=4):
            yield

    def show(self, run: LoadRun) -> None:
        """Show the progress of the test."""
        tally = report.tally(run.photos, waited=run.waited)
        numbers = {
            "sent": tally.sent,
            "taken": sum(photo.taken_at is not None for photo in run.photos),
            "answered": tally.answered,
        }
        details = {"answered": waits(run), "taken": f"{tally.repeated_posts} sent again", "sent": ""}
        for name, row in self._rows.items():
            self._bars.update(row, completed=numbers[name], total=tally.photos, detail=details[name])
        self._state.plain = scaling(run)
        if run.interrupted and not self._stopping:
            self._stopping = True
            self.step(f"no more photos are sent; waiting {GRACE_SECONDS:.0f} s for answers (Ctrl-C again to stop now)")
        if not self._console.is_terminal and time.monotonic() - self._line_at > _LINE_SECONDS:
            self._line_at = time.monotonic()
            counts = ", ".join(f"{number} {name}" for name, number in numbers.items())
            line = f"{run.seconds:5.0f} s  {counts} of {tally.photos}; {scaling(run)}; {waits(run)}"
            self._console.print(Text(line), soft_wrap=True)


def waits(run: LoadRun) -> str:
    """Return how long answers have taken so far."""
    seconds = [waited for _, waited in report.latencies(run.photos, report.clock_ahead(run.photos))]
    return "  ".join(f"{name} {value:.1f} s" for name, value in report.percentiles(seconds).items()) or "no answer yet"


def scaling(run: LoadRun) -> str:
    """Return the latest backlog, metric and group size, with a dash for what is missing."""
    sample = run.samples[-1] if run.samples else None
    if sample is None:
        return "no reading yet"
    metric = next((point.value for point in reversed(run.points) if point.name == "BacklogPerInstance"), None)
    loud = sorted(name for name, state in sample.alarms.items() if state == "ALARM")
    parts = [
        f"backlog {_or_dash(sample.backlog)} ({_or_dash(sample.in_flight)} in progress)",
        f"BacklogPerInstance {_or_dash(metric)}",
        f"instances {_or_dash(sample.in_service)} of {_or_dash(sample.desired)} desired",
        *(f"ALARM {name}" for name in loud),
    ]
    return "  ".join(parts)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
