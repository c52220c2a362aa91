"""Start real servers on free ports, end them, and wait for what they do."""

import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

# Far longer than anything here takes: the machine may be slow or busy.
PATIENCE_SECONDS = 180.0
# Linux gives outgoing connections those from 32,768 on.
PORTS = range(20_000, 32_768)
Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value]) -> Value:
    """Return the first truthy value of `condition`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:g} s")
        time.sleep(0.05)
    return value


def free_port() -> int:
    """Return a port of this machine that nobody listens on, and that no outgoing connection gets."""
    while True:
        port = secrets.choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def listening(port: int) -> bool:
    """Return whether something accepts connections on a port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def start(
    command: Sequence[str], env: Mapping[str, str] | None = None, output: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the length of a `with` block, with `env` on top of our environment.

    Both output streams are appended to the file `output`. In the end it is killed: tests that care how it ends
    end it themselves.
    """
    with (output or Path(os.devnull)).open("ab") as sink:
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
