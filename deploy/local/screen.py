"""Show the demo on the terminal: its steps, scaling activities, and the events of all processes."""

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
# Events begin with their time. Celery's banner and what libraries print do not; those are in the logs only.
_EVENT = re.compile(r"\d{4}-\d\d-\d\dT|\d\d:\d\d:\d\d ")
_MEASURED = "metrics_published"


class Screen:
    """The terminal. Shows steps and scaling activities and, if `talks`, events."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console, self._status = console, status
        self.talks = False
        self._measured = ""

    def step(self, text: str) -> None:
        """Show the current step."""
        self._console.print(Text("→ ", style="bold") + Text(text))
        self._status.update(text)

    def on_line(self, name: str, line: str) -> None:
        """Show a line of a process, or of a scaling activity ("scaling")."""
        if name == "scaling" or (self.talks and _EVENT.match(line) and not self._is_repeated(line)):
            colour = _COLOURS.get(name.partition("-")[0], "white")
            self._console.print(Text(f"{name:>12} │ ", style=colour) + Text(line), soft_wrap=True)

    def _is_repeated(self, line: str) -> bool:
        """Return whether the line reports the same metric as the last one, two seconds ago."""
        _, found, measured = line.partition(_MEASURED)
        if not found:
            return False
        repeated = measured == self._measured
        self._measured = measured
        return repeated
