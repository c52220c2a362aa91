"""What a history consists of: one line a fact, from the workers, the proxy and the run, by one clock."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Event:
    """One fact.

    `what` is, of a run of a task: started, ended, failed, retried; of a request: sent, received, asked (received,
    whatever came), deleted, extended or released; of a process: ready, killed, halted, went on, told (to end),
    died; of the run: healed (no fault from now on).
    """

    what: str
    who: str = ""  # The worker.
    key: str = ""  # The task's id, which all copies of its message have.
    handle: str = ""
    due: float = 0.0  # Seconds since the epoch, as the message says.
    clock: float = 0.0  # The same, as the worker's clock says.
    applied: bool = True  # SQS did it.
    fault: str = ""  # What was done to the request.
    at: float = 0.0  # Monotonic seconds, which all processes of a machine share.


@dataclass(frozen=True)
class Journal:
    """The file that all processes append to."""

    file: Path

    def note(self, what: str, at: float | None = None, **fields: object) -> None:
        """Append a fact, in one write."""
        line = json.dumps({"what": what, **fields, "at": at or time.monotonic()}) + "\n"
        to = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(to, line.encode())
        finally:
            os.close(to)

    def events(self) -> list[Event]:
        """Return all facts, in the order in which they happened."""
        lines = self.file.read_text().splitlines()
        return sorted((Event(**json.loads(line)) for line in lines), key=lambda event: event.at)
