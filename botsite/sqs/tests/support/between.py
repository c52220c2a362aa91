"""Stand between clients and an emulated SQS, request by request."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)  # An end without a goodbye.


class Between(ThreadingHTTPServer):
    """Have a handler of its own for each connection, which may pass requests on to the emulator."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, handler: type["Connection"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.upstream = urlsplit(upstream)

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve for the length of a `with` block."""
        self._serve()
        try:
            yield self
        finally:
            self._end()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Have connections refused for the length of a `with` block; those that exist remain."""
        self._end()
        try:
            yield
        finally:
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_bind()  # At the same address.
            self.server_activate()
            self._serve()

    def _serve(self) -> None:
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def _end(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Say nothing about connections that a dying worker or this server has cut."""


class Connection(BaseHTTPRequestHandler):
    """One connection of a client; `handle_request` is what a subclass does with each of its requests."""

    protocol_version = "HTTP/1.1"
    server: Between
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
        """Read one request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.handle_request(self.headers["X-Amz-Target"].partition(".")[2], json.loads(body))

    def handle_request(self, operation: str, asked: dict[str, Any]) -> None:
        """Do something with a request, such as `reply(*pass_on(asked))`."""
        raise NotImplementedError

    def pass_on(self, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return what the emulator says to a request: the status and the answer."""
        headers = {name: value for name, value in self.headers.items() if name not in ("Content-Length", "Host")}
        self.emulator.request("POST", self.path, json.dumps(asked), headers)
        reply = self.emulator.getresponse()
        return reply.status, json.loads(reply.read() or "{}")

    def reply(self, status: int, answer: Mapping[str, Any]) -> None:
        """Answer the client."""
        self.reply_with(status, json.dumps(answer).encode())

    def reply_with(self, status: int, body: bytes) -> None:
        """Answer the client with these bytes, whatever they are."""
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        """End the connection with a reset instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True
