"""A webhook that the fake Telegram calls."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from telegram import (
    Update,
)

from deploy.local.processes import PATIENCE_SECONDS


class Webhook:
    """A webhook that records what it receives and answers as told, or 200."""

    def __init__(self) -> None:
        self.received: list[tuple[float, str | None, bytes]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.answer_chat: dict[int, int] = {}
        self.changed = threading.Condition()
        self.speaks = threading.Event()
        self.speaks.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.speaks.wait(PATIENCE_SECONDS)
                status, headers, content = outer.take(body, self.headers["X-Telegram-Bot-Api-Secret-Token"])
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/telegram/webhook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def take(self, body: bytes, secret: str | None) -> tuple[int, dict[str, str], bytes]:
        with self.changed:
            self.received.append((time.monotonic(), secret, body))
            self.changed.notify_all()
            for chat_id, status in self.answer_chat.items():
                if f'"id": {chat_id},'.encode() in body:
                    return status, {}, b""
            return self.answers.pop(0) if self.answers else (200, {}, b"")

    def answer(self, *statuses: int, body: bytes = b"", **headers: str) -> None:
        self.answers += [(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)
                         for status in statuses]  # fmt: skip

    def updates(self, count: int) -> list[Update]:
        """Wait for `count` updates and return them."""
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.received) >= count, PATIENCE_SECONDS)
            assert enough, f"{len(self.received)} of {count}"
            return [Update.de_json(json.loads(body), None) for _, _, body in self.received]

    def texts(self, count: int) -> list[str | None]:
        messages = [update.effective_message for update in self.updates(count)]
        return [message.text if message else None for message in messages]

    def wait_for_text(self, text: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self._holds(text.encode()), PATIENCE_SECONDS), text

    def _holds(self, text: bytes) -> bool:
        return any(text in body for _, _, body in self.received)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
