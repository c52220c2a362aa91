"""The one task of all the apps, and what they are told."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

told: dict[str, Any] = json.loads(os.environ["SHOOTOUT"])


def work(number: int, seconds: float) -> None:
    """Take so long, and note when that began and ended."""
    note("start", number)
    time.sleep(seconds)
    note("end", number)


def note(what: str, number: int) -> None:
    """Append a line to the file that the trial reads."""
    with Path(told["notes"]).open("a") as notes:
        notes.write(f"{what} {number} {time.time()}\n")


def send_as_told(send: Callable[[int, float], object]) -> None:
    """Send the tasks that the arguments name: the first one's number, how many, and how long each takes."""
    first, count, seconds = sys.argv[1:]
    for number in range(int(first), int(first) + int(count)):
        send(number, float(seconds))
