"""Run what the command line asks for, and show how far it is."""

from __future__ import annotations

import argparse
import fnmatch
import logging
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

from deploy.local import sample
from deploy.local.processes import ChildFailed
from deploy.local.telegram.client import TelegramControl
from tests.chaos import (
    bodies,
    cells,
    crowding,
    hostile,
    kills,
    letters,
    limits,
    outages,
    random_run,
    report,
    sigterm,
    stills,
)
from tests.chaos.cells import BrokenError, Cell, MissedError, Scene
from tests.chaos.crowd import Crowd, small
from tests.chaos.patience import UNHURRIED
from tests.chaos.report import Row
from tests.chaos.stack import ChaosStack

FOLDER = settings.BASE_DIR / "var" / "chaos"
# How much longer than shortened ones the product's own patiences are, about.
_PATIENCE = 6 if UNHURRIED else 1
# Late doubles come when a lease runs out and a sweep finds it.
_SETTLE_SECONDS = 22.0 * _PATIENCE
# A message about a wait that is over goes once DynamoDB and Telegram work again.
_QUIET_SECONDS = 12.0


def run(description: str) -> None:
    """Play the cells that were asked for, print the matrix, and exit 1 if the promise was broken."""
    options = _options(description)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # It makes hostile files, and says at length how.
    logging.getLogger("pyvips").setLevel(logging.WARNING)
    chosen = [cell for cell in _all(options) if _matches(cell, options.only)]
    if options.list:
        sys.stdout.write("".join(f"{cell.title}\n" for cell in chosen))
        return
    # Into a file the table is as wide as it needs to be.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    rows: list[Row] = []
    try:
        _play_all(options, chosen, console, rows)
    except KeyboardInterrupt:
        console.print("Stopped; this is what there was until then.")
        sys.exit(130)
    finally:
        name = Path(options.weights).name
        console.print(report.table(rows, name))
        about = {"seed": options.seed, "unhurried": UNHURRIED, "weights": name}
        report.save(rows, FOLDER / "matrix.json", about)
    sys.exit(0 if all(row.kept for row in rows) else 1)


def _all(options: argparse.Namespace) -> list[Cell]:
    return [
        *cells.single_faults(),
        *kills.kills(),
        *kills.others(),
        *stills.stills(),
        *crowding.crowding(options.scale_ins, options.burst),
        *hostile.hostile(options.hostile_every, options.hostile_files),
        *bodies.bodies(),
        *outages.outages(options.waiting),
        *limits.limits(),
        *sigterm.sigterm(),
        *letters.letters(options.letters, options.replayed),
        random_run.random_run(options.seed, options.photos, options.minutes),
    ]


def _matches(cell: Cell, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(cell.title, f"*{pattern}*") for pattern in patterns)


def _play_all(options: argparse.Namespace, chosen: Sequence[Cell], console: Console, rows: list[Row]) -> None:
    """Play all cells on one stack; their rows are in `rows` as soon as there are any."""
    columns = (SpinnerColumn(), "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=len(chosen))

        def step(text: str) -> None:
            progress.update(bar, description=text)

        stack = ChaosStack(FOLDER / "stack", options.weights, step, time_scale=1.0 if UNHURRIED else 0.1)
        console.print(stack.memory.kind)
        console.print(f"seed {options.seed}, {len(chosen)} cells")
        people: list[Crowd] = []
        with stack.running():
            scene = _scene(stack, options)
            for cell in chosen:
                step(cell.title)
                people.append(scene.crowd(cell.people))
                rows.append(_play(scene, cell, people[-1]))
                progress.advance(bar)
                console.print(report.line(rows[-1]), soft_wrap=True)
            step("waiting for late doubles")
            time.sleep(_SETTLE_SECONDS)
            rows[:] = [replace(row, tally=them.tally(scene.known)) for row, them in zip(rows, people, strict=True)]


def _scene(stack: ChaosStack, options: argparse.Namespace) -> Scene:
    whole = sample.suiting(options.weights)
    photo = small(whole)
    scene = Scene(stack, TelegramControl(stack.telegram_url), photo, whole, options.people)
    first = scene.crowd(2)
    first.send(photo)
    if not first.wait(60):
        raise ChildFailed("a photo was not answered although nothing is broken")
    return scene


def _play(scene: Scene, cell: Cell, people: Crowd) -> Row:
    note, killed = "", scene.stack.memory.kills()
    try:
        note = cell.play(scene, people) or ""
    except MissedError as error:
        note = f"{report.VOID} {error}"
    except BrokenError as error:
        note = f"{report.BROKEN} {error}"
    scene.repair()
    repaired = time.monotonic()
    for role in ("polybot", "yolo5", "metrics"):
        scene.stack.revive(role)
    emulator = scene.stack.children.roles["ministack"].child
    if not emulator.running:
        raise ChildFailed(f"ministack has ended with code {emulator.wait()}, and with it all queues and tables")
    answered = people.wait(cell.answer_seconds * _PATIENCE)
    seconds = time.monotonic() - repaired if answered else None
    people.wait_quiet(scene.known, _QUIET_SECONDS * _PATIENCE)
    return Row(cell.group, cell.name, people.tally(scene.known), seconds, note, scene.stack.memory.kills() - killed)


def _options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    parser.add_argument("--waiting", type=int, default=500, help="photos that wait when AWS goes (default 500)")
    parser.add_argument("--letters", type=int, default=700, help="dead letters at once (default 700)")
    parser.add_argument("--replayed", type=int, default=200, help="dead letters that are replayed (default 200)")
    parser.add_argument(
        "--hostile-every", type=float, default=6, metavar="SECONDS", help="one hostile file each so often (default 6)"
    )
    parser.add_argument("--hostile-files", type=int, metavar="N", help="only the first N kinds of hostile files")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what the random run draws from")
    parser.add_argument(
        "--weights", default=sample.repeatable(), help="default: YOLO_WEIGHTS, else the committed model of shapes"
    )
    return parser.parse_args()
