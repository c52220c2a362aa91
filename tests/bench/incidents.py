"""Measure how long the commands of docs/incidents.md take on the local AWS.

    python -m tests.bench.incidents [--rounds 5]

Prints for each question the median from the start of the command to its end, and of its own CPU time, both in seconds:
on a machine that is busy with something else, the second says more.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from tests.support.incidents import Incident, Row

_CHAT_ID = 42


def main() -> None:
    """Start a service, have a photo answered, and ask every question some times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is asked (default: %(default)s)")
    rounds = parser.parse_args().rounds
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    django.setup()
    from deploy.local import sample
    from deploy.local.stack import LocalStack
    from deploy.local.telegram.client import TelegramUser
    from tests.support import incidents, turn

    weights = sample.repeatable()
    sys.stdout.write(f"weights: {Path(weights).name}\n")
    photo = sample.suiting(weights)
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder), weights).running() as stack:
        stack.adopt("PREDICTIONS_TABLE", "JOBS_QUEUE_URL")
        with turn.held("bury"):
            incident = incidents.happens(stack, TelegramUser(stack.telegram_url, _CHAT_ID), photo)
            for row in incidents.ROWS:
                took = [_seconds(incident, row) for _ in range(rounds)]
                wall, cpu = (statistics.median(each) for each in zip(*took, strict=True))
                sys.stdout.write(f"{wall:5.1f} {cpu:5.1f}  {row.question}  {row.command}\n")


def _seconds(incident: "Incident", row: "Row") -> tuple[float, float]:
    began, before = time.monotonic(), _cpu_seconds()
    incident.ask(row)
    return time.monotonic() - began, _cpu_seconds() - before


def _cpu_seconds() -> float:
    """Return the CPU time of the commands that have ended; the service's processes have not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
