"""Run what the command line asks for, and show how far it is."""

from __future__ import annotations

import argparse
import fnmatch
import os
import random
import signal
import sys
import time
from collections.abc import Sequence

from django.conf import settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

from deploy.local import sample
from deploy.local.processes import ChildFailed
from deploy.local.telegram.client import TelegramControl

from . import cells, crowd, crowding, kills, random_run, report
from .cells import Cell, MissedError, Scene
from .report import Row
from .stack import ChaosStack

FOLDER = settings.BASE_DIR / "var" / "chaos"
# Late doubles come when a lease runs out and a sweep finds it.
_SETTLE_SECONDS = 20.0


def run(description: str) -> None:
    """Play the cells that were asked for, print the matrix, and exit 1 if the promise was broken."""
    options = _options(description)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = [cell for cell in _all(options) if _matches(cell, options.only)]
    if options.list:
        sys.stdout.write("".join(f"{cell.title}\n" for cell in chosen))
        return
    console = Console(highlight=False)
    console.print(f"seed {options.seed}, {len(chosen)} cells")
    rows: list[Row] = []
    try:
        rows = _play_all(options, chosen, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
        sys.exit(130)
    console.print(report.table(rows))
    report.save(rows, FOLDER / "matrix.json", {"seed": options.seed})
    sys.exit(0 if all(row.kept for row in rows) else 1)


def _all(options: argparse.Namespace) -> list[Cell]:
    return [
        *cells.single_faults(),
        *kills.kills(),
        *kills.others(),
        *crowding.crowding(options.scale_ins, options.burst),
        random_run.random_run(options.seed, options.photos, options.minutes),
    ]


def _matches(cell: Cell, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(cell.title, f"*{pattern}*") for pattern in patterns)


def _play_all(options: argparse.Namespace, chosen: Sequence[Cell], console: Console) -> list[Row]:
    columns = (SpinnerColumn(), "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=len(chosen))
        stack = ChaosStack(
            FOLDER / "stack",
            options.weights,
            lambda text: progress.update(bar, description=text),
            time_scale=0.1,
        )
        rows: list[tuple[Row, crowd.Crowd]] = []
        with stack.running():
            scene = _scene(stack, options)
            for cell in chosen:
                progress.update(bar, description=cell.title)
                rows.append(_play(scene, cell))
                progress.advance(bar)
                row = rows[-1][0]
                console.print(
                    f"{'ok  ' if row.kept else 'FAIL'} {cell.title:50} {row.tally.answers}/{row.tally.photos} "
                    f"doubled {row.tally.doubled} ({row.tally.excused} allowed) "
                    f"{row.recovered_seconds if row.recovered_seconds is None else round(row.recovered_seconds, 1)} s "
                    f"{row.note}",
                    soft_wrap=True,
                )
            progress.update(bar, description="waiting for late doubles")
            time.sleep(_SETTLE_SECONDS)
            return [_recount(scene, row, people) for row, people in rows]


def _scene(stack: ChaosStack, options: argparse.Namespace) -> Scene:
    photo = crowd.small(sample.choose().photo)
    scene = Scene(stack, TelegramControl(stack.telegram_url), photo, options.people)
    first = scene.crowd(2)
    first.send(photo)
    if not first.wait(60):
        raise ChildFailed("a photo was not answered although nothing is broken")
    return scene


def _play(scene: Scene, cell: Cell) -> tuple[Row, crowd.Crowd]:
    people = scene.crowd(cell.people)
    note = ""
    try:
        note = cell.play(scene, people) or ""
    except MissedError as error:
        note = f"! {error}"
    scene.mend()
    mended = time.monotonic()
    for role in ("ministack", "polybot", "yolo5", "metrics"):
        scene.stack.revive(role)
    answered = people.wait(cell.answer_seconds)
    seconds = max(0.0, time.monotonic() - mended) if answered else None
    return Row(cell.group, cell.name, people.tally(scene.kills), seconds, note), people


def _recount(scene: Scene, row: Row, people: crowd.Crowd) -> Row:
    return Row(row.group, row.fault, people.tally(scene.kills), row.recovered_seconds, row.note)


def _options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chosen = os.environ.get("YOLO_WEIGHTS") or str(sample.SHAPES)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PATTERN", help="cells whose title matches, as by a shell"
    )
    parser.add_argument("--list", action="store_true", help="print the titles of the cells and do nothing")
    parser.add_argument("--people", type=int, default=3, help="photos, each from another chat, in a cell (default 3)")
    parser.add_argument("--photos", type=int, default=500, help="photos in the random run (default 500)")
    parser.add_argument(
        "--minutes", type=float, default=5, help="how long the random run sends, in minutes (default 5)"
    )
    parser.add_argument("--scale-ins", type=int, default=50, help="workers taken away under load (default 50)")
    parser.add_argument("--burst", type=int, default=500, help="photos of one person before another's (default 500)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what the random run draws from")
    parser.add_argument("--weights", default=chosen, help="default: YOLO_WEIGHTS, else the committed model of shapes")
    return parser.parse_args()
