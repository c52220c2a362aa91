"""Run a command on a pseudo-terminal, as somebody does who sits in front of it."""

import os
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from tests.support import operating

CTRL_C, CTRL_D = "\x03", "\x04"
# Longer than any command is silent that was interrupted.
_AGAIN_SECONDS = 20.0


class Screen:
    """What a command has written to its terminal so far, and its keyboard."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self._process, self._terminal = process, terminal
        self.text = ""

    def wait_for(self, words: str) -> str:
        """Return the text once it holds these words; fail if the command ends before."""
        while words not in self.text:
            if not (said := self._read()):
                raise AssertionError(f"no {words!r} in:\n{self.text}")
            self.text += said
        return self.text

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C, and return as `end` does.

        Press it again where nothing came of it: Python doesn't notice one between a prompt and the wait for a key.
        """
        self.type(CTRL_C)
        while self._process.poll() is None:
            if not select.select([self._terminal], [], [], _AGAIN_SECONDS)[0]:
                self.type(CTRL_C)
            elif said := self._read():
                self.text += said
        return self.end()

    def end(self) -> tuple[int, str]:
        """Read to the end; return the exit status and everything that was written."""
        while said := self._read():
            self.text += said
        return self._process.wait(), self.text

    def _read(self) -> str:
        try:
            return os.read(self._terminal, 10_000).decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            # The terminal's other end is closed.
            return ""


@contextmanager
def running(*command: str, env: Mapping[str, str]) -> Iterator[Screen]:
    """Run a management command on a terminal of its own, which Ctrl-C interrupts."""
    terminal, other_end = os.openpty()
    with subprocess.Popen(
        operating.command(*command),
        cwd=operating.ROOT,
        env={**env, "COLUMNS": "200", "TERM": "dumb", "DJANGO_COLORS": "nocolor"},
        preexec_fn=partial(os.login_tty, other_end),  # the only way to a controlling terminal
    ) as process:
        os.close(other_end)
        try:
            yield Screen(process, terminal)
        finally:
            process.kill()
            os.close(terminal)
