"""Say what is wrong once, however often it is found, and again only when it was over or is another thing."""

from collections.abc import Callable

Report = Callable[[str], None]


class Notice:
    """One kind of trouble."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._said = ""

    def say(self, text: str) -> None:
        """Report the trouble, unless it is the one that was reported last."""
        if text != self._said:
            self._said = text
            self._report(text)

    def over(self) -> None:
        """Report the next trouble, even if it is the same."""
        self._said = ""
