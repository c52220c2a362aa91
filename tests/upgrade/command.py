"""Run the upgrade that the command line asks for, and count the answers."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from rich.console import Console
from rich.table import Table

from botsite import aws
from deploy.local import sample
from deploy.local.processes import wait_until
from detection.model import weights
from detection.record.schemas import Delivery
from tests.upgrade import release
from tests.upgrade.people import People
from tests.upgrade.stack import UpgradedStack

FOLDER = settings.BASE_DIR / "var" / "upgrade"
_STEP_SECONDS, _BACKLOG_SECONDS, _ANSWER_SECONDS = 4.0, 3.0, 120.0


def run(description: str) -> None:
    """Upgrade, print what came of each step's photos, and exit 1 if the promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.upgrade", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="revision", default=release.PREVIOUS, help="default: %(default)s")
    revision = parser.parse_args().revision
    os.environ.setdefault("YOLO_WEIGHTS", str(sample.SHAPES))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    old = FOLDER / "release"
    release.check_out(revision, old)
    model = str(weights.ready(os.environ["YOLO_WEIGHTS"]))
    stack = UpgradedStack(FOLDER / "stack", model, console.print, time_scale=0.1, old=old)
    with stack.running():
        people = People(stack.telegram_url, sample.choose().photo)
        _upgrade(stack, people, old, console)
        _settle(stack, people)
        kept = _report(people, console)
    changes = release.index_changes(old)
    if len(changes) > 1:
        console.print(f"DynamoDB takes one change of an index in an update, and this release makes {changes}.")
    sys.exit(0 if kept and len(changes) <= 1 else 1)


def _upgrade(stack: UpgradedStack, people: People, old: Path, console: Console) -> None:
    new = settings.BASE_DIR
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("all is old", lambda: None),
        ("to new stacks", stack.upgrade_stacks),
        ("to a new worker with old sites", lambda: _swap(stack, new)),
        ("back to an old worker", lambda: _swap(stack, old)),
        ("to new sites with an old worker", lambda: stack.replace_sites(new)),
        ("to a new worker with new sites", lambda: _swap(stack, new)),
        ("all is new", lambda: stack.replace_metrics(new)),
    )
    started = time.monotonic()
    with people.sending():
        for people.step, act in steps:
            console.print(f"{time.monotonic() - started:5.0f} s  {people.step}")
            act()
            time.sleep(_STEP_SECONDS)


def _swap(stack: UpgradedStack, folder: Path) -> None:
    """Replace the worker by one that finds a backlog."""
    stack.end_worker()
    time.sleep(_BACKLOG_SECONDS)
    stack.replace_worker(folder)


def _settle(stack: UpgradedStack, people: People) -> None:
    """Wait until all is answered and recorded: then nothing is left that could be answered once more."""
    with suppress(TimeoutError):
        wait_until(lambda: not (people.waiting() or _unrecorded(stack)), _ANSWER_SECONDS, every_seconds=1)


def _unrecorded(stack: UpgradedStack) -> int:
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=stack.env["PREDICTIONS_TABLE"])
    # Other items of the table hold the places under Telegram's limits.
    deliveries = [item["delivery"]["S"] for page in pages for item in page["Items"] if "delivery" in item]
    return len(deliveries) - deliveries.count(Delivery.DELIVERED)


def _report(people: People, console: Console) -> bool:
    """Print a line a step; return whether each photo was answered once, with a boxed photo."""
    table = Table("while", "photos", "answered", "lost", "doubled", "apologies", box=None, pad_edge=False)
    answers = [(one.step, one.answers()) for one in people.sent]
    for step in [*dict.fromkeys(step for step, _ in answers), ""]:
        of_step = [got for name, got in answers if step in ("", name)]
        lost, doubled = sum(not got for got in of_step), sum(len(got) > 1 for got in of_step)
        apologies = sum(not all(got) for got in of_step)
        numbers = (len(of_step), len(of_step) - lost, lost, doubled, apologies)
        table.add_row(step or "together", *map(str, numbers))
    console.print(table)
    return all(got == [True] for _, got in answers)
