"""Stand between the workers and SQS, note what they ask for and what came of it, and break some of it."""

import json
import random
import time
from typing import Any

from ...later import due_at
from ..support.between import Between, Connection
from .events import Journal

FAULTS = ("reset", "5xx", "partly", "lost", "late")
BROKEN_SHARE = 0.4  # of the requests, as long as one of these lasts.
LATE_SECONDS = (1, 7)  # Receives wait four seconds for an answer here, everything else five.
_KINDS = {"DeleteMessage": "deleted", "ChangeMessageVisibility": "extended", "SendMessage": "sent"}


class Proxy(Between):
    """Pass requests on to an emulator; `fault` is what currently happens to some of them."""

    def __init__(self, upstream: str, journal: Journal, visibility: int, seed: int) -> None:
        super().__init__(upstream, Handler)
        self.journal, self.visibility = journal, visibility
        self.random = random.Random(seed)
        self.fault = ""
        self.keys: dict[str, str] = {}  # Of receipt handles.


class Handler(Connection):
    """One connection."""

    server: Proxy

    def handle_request(self, operation: str, asked: dict[str, Any]) -> None:
        """Pass a request on, or have it fail."""
        fault, at = self._fault(operation), time.monotonic()
        kept = _kept_back(operation, asked) if fault == "partly" else []
        forwarded = fault not in ("reset", "5xx") and (not kept or bool(asked["Entries"]))
        status, answer = self.pass_on(asked) if forwarded else (200, {})
        if kept:
            answer.setdefault("Successful", [])
            answer["Failed"] = [*answer.get("Failed", []), *(_failure(entry) for entry in kept)]
        asked["Entries"] = asked.get("Entries", []) + kept
        self._note(operation, asked, answer, at, fault, forwarded and status == 200)
        self._answer(fault, status, answer)

    def _fault(self, operation: str) -> str:
        """Draw what happens to this request."""
        server = self.server
        breakable = operation.startswith(("Receive", "Delete", "Change", "Send")) and self._who()
        if not breakable or server.random.random() > BROKEN_SHARE:
            return ""
        if server.fault == "partly" and not operation.endswith("Batch"):
            return ""
        return server.fault

    def _who(self) -> str:
        """Return the worker, which botocore names as the application."""
        return self.headers["User-Agent"].partition(" app/")[2].partition(" ")[0]

    def _answer(self, fault: str, status: int, answer: dict[str, Any]) -> None:
        if fault in ("reset", "lost"):
            self.cut()
            return
        if fault == "5xx":
            status, answer = 500, {"__type": "InternalFailure"}
        if fault == "late":
            time.sleep(self.server.random.uniform(*LATE_SECONDS))
        self.reply(status, answer)

    def _note(
        self, operation: str, asked: dict[str, Any], answer: dict[str, Any], at: float, fault: str, applied: bool
    ) -> None:
        common: dict[str, Any] = {"who": self._who(), "fault": fault, "at": at}
        note = self.server.journal.note
        if operation == "ReceiveMessage":
            note("asked", **common)
            for message in answer.get("Messages", []):
                note("received", **common | {"at": None}, **self._described(message))
        elif operation == "SendMessage":
            note("sent", **common, **_described(asked["MessageBody"]), applied=applied)
        elif kind := _KINDS.get(operation.removesuffix("Batch")):
            failed = {entry["Id"] for entry in answer.get("Failed", [])}
            for entry in asked["Entries"] or [asked]:
                good = applied and entry.get("Id") not in failed
                # What was passed on of a batch that partly failed is as good as any.
                own = "" if fault == "partly" and good else fault
                note(self._kind(kind, entry), **common | {"fault": own}, **self._named(entry), applied=good)

    def _described(self, message: dict[str, Any]) -> dict[str, Any]:
        described = _described(message["Body"])
        self.server.keys[message["ReceiptHandle"]] = described["key"]
        return {"handle": message["ReceiptHandle"], **described}

    def _named(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {"handle": entry["ReceiptHandle"], "key": self.server.keys.get(entry["ReceiptHandle"], "")}

    def _kind(self, kind: str, entry: dict[str, Any]) -> str:
        """Return how a message was changed: a release hides it for less than its visibility timeout."""
        return "released" if entry.get("VisibilityTimeout", self.server.visibility) < self.server.visibility else kind


def _described(body: str) -> dict[str, Any]:
    """Return the task's id, and when it is due."""
    headers = json.loads(body)["headers"]
    return {"key": headers["id"], "due": due_at(headers)}


def _kept_back(operation: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the second half of a batch, rounded up, out of the request; return it."""
    entries: list[dict[str, Any]] = asked["Entries"]
    half = len(entries) // 2
    asked["Entries"] = entries[:half]
    return entries[half:]


def _failure(entry: dict[str, Any]) -> dict[str, Any]:
    return {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False}
