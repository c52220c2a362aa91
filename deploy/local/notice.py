"""Report a problem once, not every time it is found, until it is over or changes."""

from collections.abc import Callable

Report = Callable[[str], None]


class Notice:
    """One kind of problem."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._said = ""

    def say(self, text: str) -> None:
        """Report the problem, unless it is the one last reported."""
        if text != self._said:
            self._said = text
            self._report(text)

    def over(self) -> None:
        """Report the next problem, even if it is the same."""
        self._said = ""
