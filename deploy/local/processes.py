"""Start child processes, read their output line by line, wait for what they do, and leave none behind."""

import errno
import os
import secrets
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
from typing import TypeVar

from deploy.local import lifeline

# Far longer than anything here takes: the machine may be slow or busy.
PATIENCE_SECONDS = 180.0
_LOOK_SECONDS, _LOOK_AT_LEAST_SECONDS = 0.02, 0.1
_OUTPUT_SECONDS = 10
_STOP_ALL_SECONDS = 2
# Linux gives outgoing connections those from 32,768 on, macOS and Windows from 49,152.
_PORTS = range(20_000, 32_768)
# Emulators; sites; what calls them.
BOTTOM, MIDDLE, TOP = range(3)
Value = TypeVar("Value")


def wait_until(
    condition: Callable[[], Value],
    seconds: float = PATIENCE_SECONDS,
    what: str = "",
    every_seconds: float = _LOOK_SECONDS,
) -> Value:
    """Return the first truthy value of `condition`; raise TimeoutError, with `what` should have happened, if late.

    It looks less and less often: a look may cost other processes as much as what they are waited for.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or condition}")
        time.sleep(every_seconds)
        every_seconds = max(every_seconds, min(1.1 * every_seconds, _LOOK_AT_LEAST_SECONDS))
    return value


class ChildFailed(Exception):
    """A child ended or did not become ready; the text ends with its last lines."""


@dataclass(eq=False)
class Child:
    """A child process and the last lines it wrote."""

    name: str
    process: subprocess.Popen[str]
    layer: int
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=400))
    ended: threading.Event = field(default_factory=threading.Event)
    _killed: bool = False

    @property
    def running(self) -> bool:
        """Return whether the process is still running."""
        return self.process.poll() is None

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self.running:
            self.process.terminate()

    def kill(self) -> None:
        """Kill the process and its group. Does nothing the second time, when the pid may be another process's."""
        if self._killed:
            return
        self._killed = True
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the process and its output to end, killing it if it takes too long. Return its exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.process.wait()
        self.ended.wait(_OUTPUT_SECONDS)
        return code

    def wait_ready(self, ready: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `ready()` is true. Raise ChildFailed if the process ends first or takes too long."""

        def look() -> bool:
            if not (done := ready()) and not self.running:
                raise self._failure(f"ended with code {self.wait(1)}")
            return done

        try:
            wait_until(look, seconds)
        except TimeoutError:
            raise self._failure(f"was not ready within {seconds:g} s") from None

    def _failure(self, what: str) -> ChildFailed:
        return ChildFailed("\n".join([f"{self.name} {what}. Its last lines:", *list(self.lines)[-15:]]))

    def succeeded(self) -> bool:
        """Return whether the process has ended with exit code 0."""
        return not self.running and self.wait() == 0

    def said(self, text: str) -> bool:
        """Return whether one of the last lines contains `text`."""
        return any(text in line for line in list(self.lines))


class Children:
    """The processes of one local stack. `on_line(name, line)` is called with each line they write."""

    def __init__(self, folder: Path, on_line: Callable[[str, str], None] = lambda name, line: None) -> None:
        self._folder = folder
        self._on_line = on_line
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], layer: int = TOP) -> Child:
        """Start a process in its own session, so that Ctrl-C only reaches this one, which then ends them all.

        A process needs those of the layers below and is ended before them. If this process is killed, it ends too.
        """
        with _undisturbed():
            process = subprocess.Popen(
                command,
                # By its name, `manage.py exec` finds the process.
                env=lifeline.tied({**env, "PROCESS_NAME": name}),
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
        """End everything, one layer at a time from the top.

        The bottom layer is killed, and so is whatever takes too long: a worker waits for the end of its long poll so
        as not to lose a message, but here its queue is about to go too.
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
    """Hold back Ctrl-C and SIGTERM for a moment: a handler that raises inside Popen would lose a started child."""
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
    """Return a TCP port of `host` that nothing is listening on.

    None of those that outgoing connections get: one of them could take it before the server does.
    """
    while True:
        port = secrets.choice(_PORTS)
        try:
            socket.create_server((host, port)).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port


def listening(host: str, port: int) -> bool:
    """Return whether something accepts connections there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((host, port)) == 0
