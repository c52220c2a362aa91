"""Ctrl-C, Ctrl-D and SIGTERM end a command without a traceback, from its first second on."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from deploy.local.stack import LocalStack
from tests.support import letters, operating, terminals, turn
from tests.support.cases import slow_after
from tests.support.processes import wait_until

COMMANDS = (
    ["status"],
    ["logs", "-f"],
    ["dlq", "list"],
    ["trace", "nobody"],
    ["doctor"],
    ["pause"],
    ["resume"],
    ["scale", "--off"],
)
each_command = pytest.mark.parametrize(
    "command",
    [*COMMANDS[:1], *[pytest.param(command, marks=pytest.mark.slow) for command in COMMANDS[1:]]],
    ids=[command[0] for command in COMMANDS],
)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """An AWS that takes connections and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@contextmanager
def running(server: socket.socket, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command on the silent AWS."""
    env = operating.environment(f"http://127.0.0.1:{server.getsockname()[1]}")
    with operating.start(*command, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def imports(process: subprocess.Popen[str]) -> bool:
    """Return whether the command is importing its packages, of which TLS is an early one."""
    return any("_ssl" in one.path for one in psutil.Process(process.pid).memory_maps())


@each_command
def test_ctrl_c_while_starting_is_quiet(silent: socket.socket, command: list[str]) -> None:
    with running(silent, *command) as process:
        wait_until(lambda: imports(process))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    # Where the machine is busy, the command may have got further.
    assert (process.returncode, output) in ((-signal.SIGINT, ""), (130, ""))
    assert "Traceback" not in errors


@each_command
@pytest.mark.parametrize("number", slow_after(1, [signal.SIGINT, signal.SIGTERM]))
def test_interrupt_while_waiting_is_at_most_a_line(
    silent: socket.socket, command: list[str], number: signal.Signals
) -> None:
    with running(silent, *command) as process:
        asked, _ = silent.accept()
        with asked:
            process.send_signal(number)
            output, errors = process.communicate()
    assert (process.returncode, output) == (130, "")
    assert len(errors.splitlines()) <= 1
    assert "Traceback" not in errors


@pytest.mark.slow
def test_silent_aws_makes_nobody_wait(silent: socket.socket) -> None:
    with running(silent, "status", "--json") as process:
        asked, _ = silent.accept()
        started = time.monotonic()
        output, _ = process.communicate()
        asked.close()
    # A call would be given up after half a minute.
    assert time.monotonic() - started < 20
    assert process.returncode == 1
    found = json.loads(output)
    assert {part["not_known"] for part in found.values() if isinstance(part, dict)} == {
        "not known: no answer within 3.5 s"
    }


@pytest.mark.slow
def test_silent_aws_is_one_line_of_status(silent: socket.socket) -> None:
    with running(silent, "status") as process:
        output, errors = process.communicate()
    _, line = output.splitlines()
    assert line.startswith("? AWS does not answer within 3.5 s: nothing is known of stacks, pause, machines, jobs, ")
    assert (process.returncode, errors.startswith("CommandError: Not known: stacks, ")) == (1, True)


@pytest.mark.slow
def test_watched_status_is_printed_until_ctrl_c(stack: LocalStack) -> None:
    with operating.start("status", "--watch", env=operating.of(stack)) as process:
        assert process.stdout
        heads = 0
        while heads < 2:
            heads += process.stdout.readline().startswith("objdet, http://")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, "Traceback" in errors) == (130, False)


def test_doctor_says_soon_that_aws_is_silent(silent: socket.socket) -> None:
    with running(silent, "doctor") as process:
        assert process.stderr
        line = process.stderr.readline()
    assert line == f"http://127.0.0.1:{silent.getsockname()[1]} does not answer within 5 s. What can be checked " + (
        "without it takes 20 s at most.\n"
    )


def test_ctrl_d_deletes_nothing(stack: LocalStack) -> None:
    with turn.held("bury", "sweep"):
        letters.clear()
        letters.put("one")
        letters.wait_until_readable()
        with terminals.running("dlq", "purge", env=operating.of(stack)) as screen:
            screen.wait_for("for good: ")
            screen.type(terminals.CTRL_D)
            code, text = screen.end()
        letters.clear()
    assert (code, text.splitlines()[-1]) == (1, "CommandError: Nothing was deleted.")
