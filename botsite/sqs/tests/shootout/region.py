"""A region: the emulator, farther away and not always well."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ..support.between import Between, Connection

LATENCY_SECONDS = 0.01
NEVER_SECONDS = 3600.0
# What may happen to a receive, and how it is answered; the others have no answer.
ANSWERS = {
    "500": (500, b'{"__type": "InternalFailure"}'),
    "503": (503, b"<html>Service Unavailable</html>"),
    "throttled": (400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'),
    "access denied": (403, b'{"__type": "AccessDeniedException", "message": "not now"}'),
    "no JSON": (200, b"<html></html>"),
}
FAULTS = (*ANSWERS, "reset", "never answered", "refused")


class Region(Between):
    """Pass requests on after a while, and count them."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream, Request)
        self.counts: Counter[str] = Counter()
        self.fault = ""

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        """Have this happen to every receive that comes within a `with` block."""
        self.fault = fault
        with self.refusing() if fault == "refused" else nullcontext():
            yield
        self.fault = ""


class Request(Connection):
    """One connection."""

    server: Region

    def handle_request(self, operation: str, asked: dict[str, Any]) -> None:
        """Answer one request."""
        self.server.counts[operation] += 1
        time.sleep(LATENCY_SECONDS)
        fault = self.server.fault if operation == "ReceiveMessage" else ""
        if fault in ANSWERS:
            self.reply_with(*ANSWERS[fault])
        elif fault == "never answered":
            time.sleep(NEVER_SECONDS)
        elif fault:
            self.cut()
        else:
            self.reply(*self.pass_on(asked))
