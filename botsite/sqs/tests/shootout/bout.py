"""One peer's worker with a queue of its own, and what comes of the tasks that are sent to it."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ..support.worker import Aws
from .peers import OURS, Peer
from .region import Region

APPS = Path(__file__).parent / "apps"
DEPTHS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class Event(NamedTuple):
    """What a task notes."""

    what: str  # start or end
    number: int
    at: float


class Bout:
    """One peer in one trial."""

    def __init__(self, peer: Peer, python: str, aws: Aws, region: Region, folder: Path, visibility: int = 60) -> None:
        self._peer, self._python, self._aws, self._folder = peer, python, aws, folder
        self.region, self.visibility = region, visibility
        self._queue_url = aws.queue(VisibilityTimeout=str(visibility))
        self._notes = folder / "notes"
        self._notes.touch()
        packages = folder / "packages"
        packages.mkdir()
        (packages / "celery_on_sqs").symlink_to(OURS)
        self._path = f"{APPS}{os.pathsep}{packages}"

    def send(self, first: int, count: int, seconds: float) -> None:
        """Send tasks of so many seconds each, straight to the emulator."""
        arguments = ["-m", self._peer.sender, str(first), str(count), str(seconds)]
        subprocess.run([self._python, *arguments], env=self._env(self._aws.url), check=True)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker for the length of a `with` block; in the end it is killed, with its children."""
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [self._python, *self._peer.worker],
                env=self._env(self.region.url),
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._folder,
            )
        try:
            yield process
        finally:
            kill(process)

    def _env(self, url: str) -> dict[str, str]:
        told = {"notes": str(self._notes), "queue_url": url + urlsplit(self._queue_url).path}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO"))},
            "PYTHONPATH": self._path,
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "SHOOTOUT": json.dumps({**told, **self._peer.told}),
        }

    def events(self) -> list[Event]:
        """Return what has been noted so far."""
        lines = (line.split() for line in self._notes.read_text().splitlines())
        return [Event(what, int(number), float(at)) for what, number, at in lines]

    def counted(self, what: str) -> Counter[int]:
        """Return how often each task has started, or ended."""
        return Counter(event.number for event in self.events() if event.what == what)

    def ended(self, first: int, count: int, within: float) -> bool:
        """Return whether these tasks end within so many seconds."""
        wanted = set(range(first, first + count))
        return waited(lambda: wanted <= self.counted("end").keys(), within)

    def empty(self, within: float) -> bool:
        """Return whether the queue is empty within so many seconds, and nothing of it in work."""
        return waited(lambda: not self._aws.depth(self._queue_url, *DEPTHS), within)


def waited(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def megabytes(process: subprocess.Popen[bytes]) -> float:
    """Return the memory of a process and its children, what they share counted once (PSS)."""
    groups = [path.parent for path in Path("/proc").glob("[0-9]*/stat")]
    kilobytes = 0
    for folder in groups:
        with contextlib.suppress(OSError, IndexError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == process.pid:
                kilobytes += int((folder / "smaps_rollup").read_text().partition("Pss:")[2].split()[0])
    return kilobytes / 1024
