"""Print what checks found."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.doctor.findings import Finding, State

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red", State.UNKNOWN: "cyan"}


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Print a table on a terminal, a line for each finding elsewhere."""
    if not console.is_terminal:
        for one in findings:
            console.print(f"{one.name:<13} {one.verdict.state:<8} {one.verdict.seen}", markup=False)
            if one.verdict.todo:
                console.print(f"{'':<22} -> {one.verdict.todo}", markup=False)
        return
    table = Table("check", "", "found", "what to do", box=box.SIMPLE_HEAD, header_style="bold")
    for one in findings:
        state = Text(one.verdict.state, _COLOURS[one.verdict.state])
        table.add_row(one.name, state, Text(one.verdict.seen), Text(one.verdict.todo))
    # Wrapped within its columns, unlike plain lines.
    console.soft_wrap = False
    console.print(table)
    console.soft_wrap = True


def failed(findings: Sequence[Finding]) -> str:
    """Return the names of the checks that failed."""
    return ", ".join(one.name for one in findings if one.verdict.state is State.FAILED)
