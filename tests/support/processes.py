"""Start real servers on free ports and end them; they end even if the tests are killed."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local import lifeline, processes
from deploy.local.processes import PATIENCE_SECONDS as PATIENCE_SECONDS
from deploy.local.processes import free_port as free_port
from deploy.local.processes import wait_until as wait_until


def listening(port: int) -> bool:
    """Return whether something accepts connections on a port of this machine."""
    return processes.listening("127.0.0.1", port)


@contextmanager
def start(
    command: Sequence[str], env: Mapping[str, str] | None = None, output: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the length of a `with` block, with `env` on top of our environment.

    Both output streams are appended to the file `output`. In the end it is killed: tests that care how it ends
    end it themselves.
    """
    with (output or Path(os.devnull)).open("ab") as sink:
        environment = lifeline.tied({**os.environ, **(env or {})})
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def open_to_others(folder: Path) -> list[str]:
    """Return what other users of this machine may look into, of a folder and all that is in it."""
    return [str(one) for one in (folder, *folder.rglob("*")) if one.stat().st_mode & 0o077]


def runs(process: psutil.Process) -> bool:
    """Return whether a process is running; in a container, dead ones may stay zombies if PID 1 does not reap them."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left_of(folder: Path) -> list[psutil.Process]:
    """Return the processes of a demo in this folder: all are started with a database in it."""
    left = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("DATABASE_URL", ""):
                left.append(process)
        except psutil.Error:
            continue
    return left
