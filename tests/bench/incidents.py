"""Measure how long the commands of docs/incidents.md take on the local AWS.

    python -m tests.bench.incidents [--rounds 5]

Prints each question with the median, in seconds, from the start of the command to its end.
"""

import argparse
import os
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

    chosen = sample.choose()
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder), chosen.weights).running() as stack:
        stack.adopt("PREDICTIONS_TABLE", "JOBS_QUEUE_URL")
        with turn.held("bury"):
            incident = incidents.happens(stack, TelegramUser(stack.telegram_url, _CHAT_ID), chosen.photo)
            for row in incidents.ROWS:
                took = statistics.median(_seconds(incident, row) for _ in range(rounds))
                sys.stdout.write(f"{took:5.1f}  {row.question}  {row.command}\n")


def _seconds(incident: "Incident", row: "Row") -> float:
    began = time.monotonic()
    incident.ask(row)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
