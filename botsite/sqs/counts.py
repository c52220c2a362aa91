"""What this process has done so far, by queue: the numbers behind `/metrics`."""

import threading
from collections import Counter


class Counts:
    """Counters that any thread may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, what: str, queue_url: str, number: int = 1) -> None:
        """Count something that happened to a queue."""
        with self._lock:
            self._counts[what, queue_url.rpartition("/")[2]] += number

    def by_queue(self, what: str) -> dict[str, int]:
        """Return how often it happened, by the names that the queues have in SQS."""
        with self._lock:
            return {queue: number for (name, queue), number in sorted(self._counts.items()) if name == what}


# One for the process, like the receivers' account.
COUNTS = Counts()
