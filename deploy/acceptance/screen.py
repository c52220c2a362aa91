"""Show a run: a line for each step, and on a terminal what it does just now and for how long."""

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from deploy.acceptance.results import Result, State

_COLOURS = {State.PASSED: "green", State.FAILED: "bold red", State.UNKNOWN: "cyan"}


class Screen:
    """The screen of one run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Progress | None = None

    def begins(self, title: str) -> None:
        """Show that a step begins."""
        if not self._console.is_terminal:
            self.line(f"... {title}")
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._live = Progress(*columns, TextColumn("{task.fields[detail]}"), console=self._console, transient=True)
        self._live.add_task(title, total=None, detail="")
        self._live.start()

    def say(self, text: str) -> None:
        """Show what the step does just now."""
        if self._live:
            width = max(20, self._console.width - 60)
            self._live.update(self._live.task_ids[0], detail=text.splitlines()[0][:width] if text else "")

    def ends(self, result: Result) -> None:
        """Print how a step ended."""
        if self._live:
            self._live.stop()
            self._live = None
        line = Text(f"{result.state:<15}", _COLOURS.get(result.state, "yellow"))
        self._console.print(line.append(f"{result.title} ({result.seconds:.0f} s)", "bold"), soft_wrap=True)
        if result.text:
            self._console.print(Text(f"{'':<15}{result.text}"), soft_wrap=True)

    def line(self, text: str) -> None:
        """Print a line."""
        self._console.print(Text(text), soft_wrap=True)
