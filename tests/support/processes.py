"""Start real servers on free ports, end them, and wait for what they do."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from deploy.local.processes import PATIENCE_SECONDS as PATIENCE_SECONDS

Value = TypeVar("Value")


def free_port() -> int:
    """Return a TCP port on which nothing listens now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def listening(port: int) -> bool:
    """Tell whether something accepts connections on a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def start(
    command: Sequence[str], env: Mapping[str, str] | None = None, output: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the length of a `with` block: its environment is ours with `env` on top.

    Both its output streams are appended to the file `output`. In the end it is killed: tests that care how it ends
    end it themselves.
    """
    with (output or Path(os.devnull)).open("ab") as sink:
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], Value], seconds: float = PATIENCE_SECONDS) -> Value:
    """Return the first truthy value of `condition`, which is called often; fail if none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"no {condition} within {seconds} s"
        time.sleep(0.02)


def left_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that were started with a database in this folder: all that the demo starts are."""
    left = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("DATABASE_URL", ""):
                left.append(process)
        except psutil.Error:
            continue
    return left
