"""Print findings."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metrics.health.findings import Finding, Health

_COLOURS = {Health.OK: "green", Health.WARNING: "yellow", Health.FAILED: "bold red", Health.UNKNOWN: "cyan"}


def print_findings(console: Console, findings: Sequence[Finding[Any]]) -> None:
    """Print a table on a terminal, a line for each finding elsewhere."""
    if not console.is_terminal:
        for one in findings:
            console.print(f"{one.name:<13} {one.state:<8} {one.seen}", markup=False)
            if one.todo:
                console.print(f"{'':<22} -> {one.todo}", markup=False)
        return
    table = Table("check", "", "found", "what to do", box=box.SIMPLE_HEAD, header_style="bold")
    for one in findings:
        state = Text(one.state, _COLOURS[one.state])
        table.add_row(one.name, state, Text(one.seen), Text(one.todo))
    # Wrapped within its columns, unlike plain lines.
    console.soft_wrap = False
    console.print(table)
    console.soft_wrap = True


def failed(findings: Sequence[Finding[Any]]) -> str:
    """Return the names of the checks that failed."""
    return ", ".join(one.name for one in findings if one.state is Health.FAILED)
