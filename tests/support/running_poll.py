"""A running `manage.py poll`, looked at from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import lifeline
from tests.support.emulators import TOKEN
from tests.support.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
READY = "Ctrl-C ends it."


@dataclass(frozen=True)
class Poll:
    """A running poll; its output is in a file."""

    process: subprocess.Popen[bytes]
    output: Path

    def said(self, text: str) -> bool:
        """Return whether the output has a text."""
        return text in self.output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until the output has a text; fail if the process ends first."""
        wait_until(lambda: self.said(text) or self.process.poll() is not None, what=text)
        assert self.said(text), self.output.read_text()

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def environment(telegram: str, token: str = TOKEN, **others: str) -> dict[str, str]:
    """Return the environment of a poll of the bot that a fake Telegram has."""
    return {**os.environ, "TELEGRAM_API_URL": telegram, "TELEGRAM_TOKEN": token, **others}


def command(folder: Path) -> list[str]:
    """Return the command line of a poll."""
    return [sys.executable, "manage.py", "poll", "--folder", str(folder)]


def refused(telegram: str, folder: Path, token: str = TOKEN) -> str:
    """Run a poll that ends at once; return why."""
    ended = subprocess.run(
        command(folder),
        cwd=ROOT,
        env=environment(telegram, token),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


@contextmanager
def starting_poll(telegram: str, folder: Path, **env: str) -> Iterator[Poll]:
    """Start a poll, and kill it in the end if it still runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            command(folder), cwd=ROOT, env=lifeline.tied(environment(telegram, **env)), stdout=output, stderr=output
        )
    try:
        yield Poll(process, folder / "output")
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_poll(telegram: str, folder: Path, **env: str) -> Iterator[Poll]:
    """Run a poll that answers."""
    with starting_poll(telegram, folder, **env) as poll:
        poll.wait_for(READY)
        yield poll
