"""End the processes that this one started, however this one ends, even by the SIGKILL of a test's deadline.

A keeper, a process of its own, holds the other end of a pipe. When the pipe breaks, it kills every process that has
this one's mark in its environment. The mark is inherited, so grandchildren have it too, whatever session they are in,
and it does not matter which thread started them (PR_SET_PDEATHSIG fires when that thread ends). The keeper reads
/proc, so only Linux has this; elsewhere, nothing but an orderly end cleans up.

This file is also the keeper's program, which runs without the packages of this environment: standard library only.
"""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from uuid import uuid4

_NAME = "LIFELINE"
_DONE = b"done"
# A process that was being started when its parent was killed gets its mark a moment later.
_QUIET_SECONDS = 1.0
_LOOK_SECONDS = 0.05


def tied(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that ends when this one does, however that happens."""
    return {**env, _NAME: _mark()}


@cache
def _mark() -> str:
    """Start this process's keeper; return the mark it looks for."""
    mark = uuid4().hex
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", __file__, mark]
        keeper = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        atexit.register(_dismiss, keeper, os.getpid())
    return mark


def _dismiss(keeper: subprocess.Popen[bytes], owner: int) -> None:
    """Let the keeper end what is left, usually nothing, and wait for that."""
    if os.getpid() == owner:
        keeper.communicate(_DONE)


def _kill_marked(mark: str) -> bool:
    """Kill the processes with this mark; return whether there were any."""
    entry = f"{_NAME}={mark}".encode()
    found = False
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and entry in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
                found = True
        except OSError:
            # Somebody else's, or it has just ended.
            continue
    return found


def _keep(mark: str) -> None:
    """Wait until the owner ends; then kill what is left, until nothing has come up for a while if it was killed."""
    if sys.stdin.buffer.read() == _DONE:
        _kill_marked(mark)
        return
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < _QUIET_SECONDS:
        if _kill_marked(mark):
            quiet_since = time.monotonic()
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    _keep(sys.argv[1])
