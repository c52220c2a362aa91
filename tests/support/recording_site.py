"""A webhook that tests register with the fake Telegram, to see what arrives."""

import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.certificates.self_signed import Pair

SECRET = "webhook-secret"


class Site:
    """A real webhook, with TLS if it has a certificate, that records the secret and text of each update."""

    def __init__(self, pair: Pair | None = None, status: int = 200) -> None:
        self.received: list[tuple[str | None, str]] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                received.append((self.headers["X-Telegram-Bot-Api-Secret-Token"], body["message"]["text"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if pair:
            # Handshakes in the request's thread, so that a failed one affects only its connection.
            self._server.socket = _tls(pair).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if pair else 'http'}://localhost:{self._server.server_port}/telegram/webhook"

    @contextmanager
    def open(self) -> Iterator["Site"]:
        """Serve for the length of a `with` block."""
        with self._server:
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            yield self
            self._server.shutdown()


def _tls(pair: Pair) -> ssl.SSLContext:
    """Return TLS with a certificate; Python only reads keys from files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
