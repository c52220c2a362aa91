"""A stand-in for the metadata service of an instance, which says what the test wants."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Machine:
    """The metadata service of one instance."""

    def __init__(self) -> None:
        self.answers = {"/latest/meta-data/instance-id": "i-0abc"}
        # The paths that it answers with an error, and all that it was asked for.
        self.failing: set[str] = set()
        self.asked: list[str] = []
        machine = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._say(200, "token")

            def do_GET(self) -> None:
                machine.asked.append(self.path)
                if self.path in machine.failing:
                    self._say(503, "")
                elif self.headers["X-aws-ec2-metadata-token"] != "token":
                    self._say(401, "")
                else:
                    answer = machine.answers.get(self.path)
                    self._say(404 if answer is None else 200, answer or "")

            def _say(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
