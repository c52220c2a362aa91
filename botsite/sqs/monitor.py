"""Show a worker to Kubernetes, ECS and Prometheus: `/healthz` and `/metrics` on a port of its own."""

import importlib
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .counts import COUNTS
from .options import Options
from .receiving import RECEIVING
from .watchdog import Signs

log = logging.getLogger(__name__)

_COUNTERS = {
    "received": "Messages received",
    "deleted": "Messages deleted, their task done",
    "released": "Messages returned to the queue",
    "postponed": "Messages sent again because they are due later",
    "receive_errors": "ReceiveMessage requests that failed",
    "settle_errors": "Requests to delete, release or postpone that failed",
    "heartbeat_failures": "Requests to keep messages hidden that failed",
}


class Monitor:
    """An HTTP server in a thread, from `start` until the process ends."""

    def __init__(self, signs: Callable[[], Signs], options: Options) -> None:
        self._signs, self._options = signs, options

    def start(self) -> None:
        """Listen; a port that is taken is logged, and no reason for not working."""
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = monitor.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Leave the log to what matters."""

        address = (self._options.monitor_host, self._options.monitor_port or 0)
        try:
            server = ThreadingHTTPServer(address, Handler)
        except OSError as error:
            log.error("monitor_failed", extra={"address": "{}:{}".format(*address), "error": str(error)})
            return
        threading.Thread(target=server.serve_forever, name="monitor", daemon=True).start()

    def answer(self, path: str) -> tuple[int, str]:
        """Return the status and text for a path."""
        match path.partition("?")[0]:
            case "/healthz":
                trouble = self._signs().trouble(self._options)
                return (503, f"{trouble}\n") if trouble else (200, "ok\n")
            case "/metrics":
                return 200, "".join(f"{line}\n" for line in self._lines()) + _of_the_app()
        return 404, "There are /healthz and /metrics.\n"

    def _lines(self) -> Iterator[str]:
        for name, text in _COUNTERS.items():
            yield from _described(f"{name}_total", "counter", text)
            for queue, number in COUNTS.by_queue(name).items():
                yield f'celery_sqs_{name}_total{{queue="{queue}"}} {number}'
        signs = self._signs()
        gauges = {
            "in_work": (RECEIVING.held(), "Messages held, in work or on their way there"),
            "oldest_job_seconds": (signs.oldest_job_age, "Age of the oldest job in work"),
            "paused": (int(RECEIVING.paused), "1 while receiving is paused because jobs fail in a row"),
            "last_receive_age_seconds": (signs.receive_age, "Time since SQS last answered a receive"),
        }
        for name, (value, text) in gauges.items():
            if value is not None:
                yield from _described(name, "gauge", text)
                yield f"celery_sqs_{name} {value:.6g}"


def _described(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP celery_sqs_{name} {text}.", f"# TYPE celery_sqs_{name} {kind}"


def _of_the_app() -> str:
    """Return what the app registers with prometheus_client, if that is installed."""
    try:
        client = importlib.import_module("prometheus_client")
    except ImportError:
        return ""
    text: str = client.generate_latest().decode()
    return text
