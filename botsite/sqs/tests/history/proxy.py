"""Stand between the workers and SQS, note what they ask for and what came of it, and break some of it."""

import http.client
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from ...later import due_at
from .events import Journal

FAULTS = ("reset", "5xx", "partly", "lost", "late")
BROKEN_SHARE = 0.4  # of the requests, as long as one of these lasts.
LATE_SECONDS = (1, 7)  # Receives wait four seconds for an answer here, everything else five.
_RESET = struct.pack("ii", 1, 0)  # An end without a goodbye.
_KINDS = {"DeleteMessage": "deleted", "ChangeMessageVisibility": "extended", "SendMessage": "sent"}


class Proxy(ThreadingHTTPServer):
    """Pass requests on to an emulator; `fault` is what currently happens to some of them."""

    daemon_threads = True

    def __init__(self, upstream: str, journal: Journal, visibility: int, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.journal, self.visibility = urlsplit(upstream), journal, visibility
        self.random = random.Random(seed)
        self.fault = ""
        self.keys: dict[str, str] = {}  # Of receipt handles.

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        """Serve for the length of a `with` block."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Say nothing about connections that a dying worker or this proxy has cut."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Proxy
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Open a connection of its own to the emulator."""
        super().setup()
        self.emulator = http.client.HTTPConnection(self.server.upstream.netloc)

    def finish(self) -> None:
        """Close that, too."""
        self.emulator.close()
        super().finish()

    def log_message(self, *_: Any) -> None:
        """Write no log."""

    def do_POST(self) -> None:
        """Pass a request on, or have it fail."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        fault, at = self._fault(operation), time.monotonic()
        kept = _kept_back(operation, asked) if fault == "partly" else []
        forwarded = fault not in ("reset", "5xx") and (not kept or bool(asked["Entries"]))
        status, answer = self._pass_on(asked) if forwarded else (200, {})
        if kept:
            answer.setdefault("Successful", [])
            answer["Failed"] = [*answer.get("Failed", []), *(_failure(entry) for entry in kept)]
        asked["Entries"] = asked.get("Entries", []) + kept
        self._note(operation, asked, answer, at, fault, forwarded and status == 200)
        self._reply(fault, status, answer)

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

    def _pass_on(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {name: value for name, value in self.headers.items() if name not in ("Content-Length", "Host")}
        self.emulator.request("POST", self.path, json.dumps(asked), headers)
        reply = self.emulator.getresponse()
        return reply.status, json.loads(reply.read() or "{}")

    def _reply(self, fault: str, status: int, answer: dict[str, Any]) -> None:
        if fault in ("reset", "lost"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close_connection = True
            return
        if fault == "5xx":
            status, answer = 500, {"__type": "InternalFailure"}
        if fault == "late":
            time.sleep(self.server.random.uniform(*LATE_SECONDS))
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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
