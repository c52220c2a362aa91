"""One run at a time changes a service; another one is told whose turn it is, and takes over only by asking."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from botsite import aws
from deploy import lock, provision, stacks, teardown
from deploy.lock import Run
from deploy.service import Service
from tests.support import emulators
from tests.support.provisioning import Terminal, run

ANN = Run("rollback", "user/ann", datetime.now(UTC).isoformat(timespec="seconds"), "another-machine", 1)
CHANGING = (["provision", "--yes"], ["rollback", "--yes"], ["teardown", "--yes"])


@pytest.fixture
def service(prefix: str) -> Iterator[Service]:
    """A service that another run may be changing."""
    yield Service(prefix)
    if holder := lock.read(Service(prefix)):
        lock.end(Service(prefix), holder)


def ended_here() -> Run:
    """Return a run whose process on this machine is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return replace(ANN, host=socket.gethostname(), pid=process.pid)


@pytest.mark.parametrize("command", CHANGING, ids=[words[0] for words in CHANGING])
def test_second_run_is_refused_and_told_whose_turn_it_is(made: str, command: list[str]) -> None:
    before = Service(made).stack("queue")
    assert lock.begin(Service(made), ANN) is None
    with pytest.raises(CommandError, match=r"made is locked by `rollback`, started by user/ann .* process 1 on"):
        run(*command, "--prefix", made)
    assert Service(made).stack("queue") == before
    assert lock.read(Service(made)) == ANN
    lock.end(Service(made), ANN)


def test_run_that_ended_is_no_obstacle_to_a_script_with_yes(service: Service) -> None:
    lock.begin(service, ended_here())
    with pytest.raises(CommandError, match="It has ended: add --yes to take over"):
        run("teardown", "--prefix", service.prefix)
    assert "It has ended without giving that back, so this run takes over" in run(
        "teardown", "--prefix", service.prefix, "--yes"
    )
    assert lock.read(service) is None


def test_old_run_of_another_machine_has_ended() -> None:
    assert not ANN.ended
    assert replace(ANN, since=(datetime.now(UTC) - timedelta(hours=7)).isoformat()).ended
    assert not replace(ANN, host=socket.gethostname(), pid=os.getpid()).ended
    assert ended_here().ended


@pytest.mark.parametrize("answer", ["y", "n"])
def test_somebody_at_a_terminal_may_take_over(service: Service, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lock.begin(service, ANN)
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    output = Terminal()
    if answer == "y":
        call_command("teardown", "--prefix", service.prefix, "--yes", stdout=output)
    else:
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("teardown", "--prefix", service.prefix, "--yes", stdout=output)
    assert "If that still runs, the two would undo each other's work. Take over? [y/N]" in output.getvalue()
    assert lock.read(service) == (None if answer == "y" else ANN)


@pytest.mark.parametrize("end", [KeyboardInterrupt, stacks.StackError])
def test_failed_run_gives_its_turn_back(
    service: Service, end: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Run | None] = []

    def fail(*arguments: object) -> None:
        held.append(lock.read(service))
        raise end

    monkeypatch.setattr(provision, "provision", fail)
    with pytest.raises(CommandError):
        run("provision", "--prefix", service.prefix, "--yes")
    (during,) = held
    assert during
    assert (during.command, during.pid) == ("provision", os.getpid())
    assert lock.read(service) is None


def test_run_that_lost_its_turn_leaves_the_other_its_own(service: Service) -> None:
    lock.begin(service, ANN)
    bert = replace(ANN, by="user/bert")
    assert lock.take_over(service, ANN, bert) is None
    lock.end(service, ANN)
    assert lock.read(service) == bert


def test_of_many_runs_one_has_the_turn(service: Service) -> None:
    runs = [replace(ANN, pid=number) for number in range(40)]
    with ThreadPoolExecutor(40) as pool:
        others = list(pool.map(lambda one: lock.begin(service, one), runs))
    (winner,) = [one for one, other in zip(runs, others, strict=True) if other is None]
    assert {other for other in others if other} == {winner}


def test_lock_works_on_moto() -> None:
    with emulators.moto():
        service = Service("locked-here")
        assert (lock.begin(service, ANN), lock.begin(service, replace(ANN, pid=2))) == (None, ANN)
        lock.end(service, ANN)
        assert lock.read(service) is None


def test_nothing_is_left_of_the_lock(service: Service) -> None:
    run("teardown", "--prefix", service.prefix, "--yes")
    assert teardown.existing(service) == []
    filters = [{"Key": "Name", "Option": "BeginsWith", "Values": [f"/deploying/{service}"]}]
    assert aws.client("ssm").describe_parameters(ParameterFilters=filters)["Parameters"] == []
