"""Run child processes, read their output line by line, and leave none behind."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# How long to wait for what should happen. Far longer than it takes: the machine may be slow, or busy with other work.
PATIENCE_SECONDS = 180.0
_OUTPUT_SECONDS = 10
_STOP_ALL_SECONDS = 2
# Emulators; sites; whatever calls them.
BOTTOM, MIDDLE, TOP = range(3)


class ChildFailed(Exception):
    """A child ended, or did not become ready; the text holds its last lines."""


@dataclass(eq=False)
class Child:
    """A running child process and the last lines it wrote."""

    name: str
    process: subprocess.Popen[str]
    layer: int
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=400))
    ended: threading.Event = field(default_factory=threading.Event)
    _killed: bool = False

    @property
    def running(self) -> bool:
        """Return whether the process is alive."""
        return self.process.poll() is None

    def terminate(self) -> None:
        """Ask the process to end."""
        if self.running:
            self.process.terminate()

    def kill(self) -> None:
        """End the process and all it started, at once; but only once: later, its number may be somebody else's."""
        if self._killed:
            return
        self._killed = True
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end of the process, then of its output; kill it when the time is over. Return its exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.process.wait()
        self.ended.wait(_OUTPUT_SECONDS)
        return code

    def wait_ready(self, ready: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `ready()` is true. Raise ChildFailed if the process ends first or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > deadline:
                what = f"ended with code {self.wait(1)}" if not self.running else f"was not ready within {seconds:g} s"
                raise ChildFailed("\n".join([f"{self.name} {what}. Its last lines:", *list(self.lines)[-15:]]))
            time.sleep(0.03)

    def succeeded(self) -> bool:
        """Return whether the process has ended well."""
        return not self.running and self.wait() == 0

    def said(self, text: str) -> bool:
        """Return whether one of the last lines holds `text`."""
        return any(text in line for line in list(self.lines))


class Children:
    """All the processes of one local stack. `on_line(name, line)` sees each line they write."""

    def __init__(self, folder: Path, on_line: Callable[[str, str], None] = lambda name, line: None) -> None:
        self._folder = folder
        self._on_line = on_line
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], layer: int = TOP) -> Child:
        """Start a process in a session of its own, so that Ctrl-C reaches this one alone, which then ends them all.

        A process of a higher layer needs those of the lower ones, and is ended before them.
        """
        with _undisturbed():
            process = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            child = Child(name, process, layer)
            self._children.append(child)
        threading.Thread(target=self._read, args=(child,), name=f"output of {name}", daemon=True).start()
        return child

    def stop(self) -> None:
        """End everything, a layer at a time from the top.

        The lowest is killed, and so is what takes its time: a worker waits for its long poll, lest a message gets
        lost for a while, but its queue goes with it here.
        """
        for layer in (TOP, MIDDLE):
            ending = [child for child in self._children if child.layer == layer and child.running]
            for child in ending:
                child.terminate()
            deadline = time.monotonic() + _STOP_ALL_SECONDS
            for child in ending:
                child.wait(max(0.1, deadline - time.monotonic()))
        for child in self._children:
            child.kill()
        self._children.clear()

    def _read(self, child: Child) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        assert child.process.stdout is not None
        with child.process.stdout as output, (self._folder / f"{child.name}.log").open("a") as log:
            for line in output:
                log.write(line)
                log.flush()
                child.lines.append(line.rstrip())
                self._on_line(child.name, line.rstrip())
        child.ended.set()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back for a moment: a handler that raises in Popen would lose a child already born."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: held.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for caught in held:
            signal.raise_signal(caught)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port of `host` on which nothing listens now."""
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def listening(host: str, port: int) -> bool:
    """Return whether something accepts connections there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((host, port)) == 0
