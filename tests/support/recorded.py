"""Stand before an emulator and give AWS's own answers to what the emulator can't say."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

# The part of a request that names its action, in the body or in X-Amz-Target -> (content type, body).
Answers = Mapping[str, tuple[str, str]]


class _Server(ThreadingHTTPServer):
    """A server with its answers, and the requests that got one of them."""

    daemon_threads = True

    def __init__(self, upstream: str, answers: Answers) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream, self.answers = upstream, answers
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Give the recorded answer, or the emulator's."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        named = f"{self.headers.get('X-Amz-Target', '')} {body.decode()}"
        for action, (kind, text) in self.server.answers.items():
            if action in named:
                self.server.asked.append(named)
                self._say(200, kind, text.encode())
                return
        headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Content-Length")}
        answer = httpx.post(self.server.upstream + self.path, content=body, headers=headers, timeout=60)
        self._say(answer.status_code, answer.headers.get("Content-Type", ""), answer.content)

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def before(upstream: str, answers: Answers) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server with these answers before an emulator, and the requests that got one."""
    with _Server(upstream, answers) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.asked
        server.shutdown()
