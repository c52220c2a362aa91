"""Show on the terminal what the demo does: its steps, what the groups do, and the events of all processes."""

import re

from rich.console import Console
from rich.status import Status
from rich.text import Text

_COLOURS = {
    "polybot": "cyan",
    "yolo5": "green",
    "metrics": "yellow",
    "scaling": "bold magenta",
    "telegram": "blue",
}
# Every event begins with its time. Celery's banner does not, nor what libraries print: those are in the logs.
_EVENT = re.compile(r"\d{4}-\d\d-\d\dT|\d\d:\d\d:\d\d ")
_MEASURED = "metrics_published"


class Screen:
    """The terminal. `talks`: whether events are shown, too, and not only steps and what the groups do."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console, self._status = console, status
        self.talks = False
        self._measured = ""

    def step(self, text: str) -> None:
        """Show what is being done now."""
        self._console.print(Text("→ ", style="bold") + Text(text))
        self._status.update(text)

    def on_line(self, name: str, line: str) -> None:
        """Show a line of a process, or of the groups ("scaling")."""
        if name == "scaling" or (self.talks and _EVENT.match(line) and not self._is_repeated(line)):
            colour = _COLOURS.get(name.partition("-")[0], "white")
            self._console.print(Text(f"{name:>12} │ ", style=colour) + Text(line), soft_wrap=True)

    def _is_repeated(self, line: str) -> bool:
        """Return whether it says what the metric said last: it is published every two seconds here."""
        _, found, measured = line.partition(_MEASURED)
        if not found:
            return False
        repeated = measured == self._measured
        self._measured = measured
        return repeated
