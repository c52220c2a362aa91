"""Run a program that has the terminal: what is typed, Ctrl-C too, is for it."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy import interrupts


def run(command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> int:
    """Run a program to its end; return its exit code, as a shell would say it."""
    with interrupts.handled(signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, handler=_left_to_program):
        code = subprocess.run(command, env=env, cwd=cwd, check=False).returncode
    return code if code >= 0 else 128 - code


def _left_to_program(number: int, frame: object) -> None:
    """Ignore a signal here; the program has it as usual, which it would not if it were ignored."""
