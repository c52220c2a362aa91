"""Run a site on its own: no AWS, no Telegram behind it, for tests of what never gets that far."""

import os
import runpy
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from deploy.local import roles
from tests.support.processes import free_port, start, wait_until

# As many as deploy/gunicorn.conf.py has.
_PROCESSES = runpy.run_path(str(Path(__file__).parents[2] / "deploy" / "gunicorn.conf.py"))["workers"]
_NAMES = ["JOBS_QUEUE_URL", "IMAGES_BUCKET", "PREDICTIONS_TABLE", "RESULTS_KEY", "DJANGO_SECRET_KEY", "TELEGRAM_TOKEN"]


@dataclass(frozen=True)
class LoneSite:
    """A running site; `log` is what it writes."""

    port: int
    secret: str
    pid: int
    log: Path

    def send(self, head: str, body: Iterable[bytes] = ()) -> int:
        """Send a request as far as the site takes it; return the status it answers with, 0 for none."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            # A site that has answered closes.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode())
                for piece in body:
                    connection.sendall(piece)
            return self._status(connection)

    def _status(self, connection: socket.socket) -> int:
        try:
            line = connection.makefile("rb").readline()
        except ConnectionResetError:
            return 0
        return int(line.split()[1]) if line else 0


def megabytes(pid: int) -> float:
    """Return what a site's processes have of memory to themselves, and their share of the rest."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes) / 1024**2


@contextmanager
def lone_site(folder: Path) -> Iterator[LoneSite]:
    """Run a site until the block ends."""
    port, secret, log = free_port(), secrets.token_hex(16), folder / "site.log"
    env = os.environ | dict.fromkeys(_NAMES, "1:x") | {"TELEGRAM_WEBHOOK_SECRET": secret, "LOG_FORMAT": "json"}
    env |= {"DATABASE_URL": f"sqlite:///{folder / 'logins.sqlite3'}", "DJANGO_HTTPS": "off"}
    env |= dict.fromkeys(("AWS_ENDPOINT_URL", "TELEGRAM_API_URL"), f"http://127.0.0.1:{free_port()}")
    with start(roles.site("127.0.0.1", port), env, log) as process:
        site = LoneSite(port, secret, process.pid, log)
        # One process listens before the others are forked.
        wait_until(lambda: log.read_text().count("ASGI server listening") == _PROCESSES)
        wait_until(lambda: _answers(port))
        try:
            yield site
        finally:
            process.terminate()
            process.wait(60)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).is_success
    except httpx.TransportError:
        return False
