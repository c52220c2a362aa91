"""The matrix: one row a cell, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.chaos.crowd import Tally

# Begins the note of a cell that proves nothing, and of one that found more than the answers to be wrong.
VOID = "void:"
BROKEN = "broken:"


@dataclass(frozen=True)
class Row:
    """A cell's outcome. `recovered_seconds` is from the end of the fault until all answers were seen to be there.

    `killed` is how many processes were killed for taking more memory than their machine has.
    """

    group: str
    fault: str
    tally: Tally
    recovered_seconds: float | None
    note: str = ""
    killed: int = 0

    @property
    def kept(self) -> bool:
        """Return whether the promise was kept, and the fault did hit."""
        return self.tally.kept and not self.killed and not self.note.startswith((VOID, BROKEN))


def table(rows: Sequence[Row], weights: str) -> Table:
    """Return the matrix for a terminal."""
    made = Table(title=f"Faults and answers, weights {weights}")
    for name in ("fault", ""):
        made.add_column(name, overflow="fold")
    for name in ("photos", "answers", "lost", "doubled", "allowed", "apologies", "stale", "killed", "recovered s"):
        made.add_column(name, justify="right")
    made.add_column("note", overflow="fold")
    group = ""
    for row in rows:
        first = row.group if row.group != group else ""
        group = row.group
        made.add_row(first, row.fault, *_numbers(row), row.note, style=None if row.kept else "bold red")
    return made


def line(row: Row) -> str:
    """Return what a cell came to, for the log."""
    tally, outcome = row.tally, "ok  " if row.kept else "FAIL"
    wrong = f", {tally.doubled} doubled ({tally.excused} allowed)" if tally.doubled else ""
    wrong += f", {tally.lost} lost" if tally.lost else ""
    wrong += f", {tally.stale} stale ({tally.orphans} allowed)" if tally.stale else ""
    wrong += f", {row.killed} killed for memory" if row.killed else ""
    seconds = "" if row.recovered_seconds is None else f", {row.recovered_seconds:.1f} s"
    title = f"{row.group} / {row.fault}"
    return f"{outcome} {title:60} {tally.photos} photos, {tally.answers} answers{wrong}{seconds} {row.note}".rstrip()


def save(rows: Sequence[Row], file: Path, about: dict[str, Any]) -> None:
    """Write the matrix as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    cells = [asdict(row) | {"kept": row.kept} for row in rows]
    file.write_text(json.dumps({**about, "cells": cells}, indent=1) + "\n")


def _numbers(row: Row) -> list[str]:
    tally = row.tally
    counts = (
        tally.photos,
        tally.answers,
        tally.lost,
        tally.doubled,
        tally.excused,
        tally.apologies,
        tally.stale,
        row.killed,
    )
    return [*map(str, counts), "-" if row.recovered_seconds is None else f"{row.recovered_seconds:.1f}"]
