"""A worker takes jobs only while its machine is in service, and drains before the machine leaves or sleeps."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from deploy.local.processes import PATIENCE_SECONDS, Child
from deploy.local.stack import LocalStack, script
from tests.support.jobs_queue import VISIBILITY_SECONDS, Queue
from tests.support.leaving_machine import Machine
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow

STATE = "/latest/meta-data/autoscaling/target-lifecycle-state"
NOTICE = "/latest/meta-data/spot/instance-action"
RISK = "/latest/meta-data/events/recommendations/rebalance"
NOTICED = {
    NOTICE: '{"action": "terminate", "time": "2026-01-01T00:00:00Z"}',
    RISK: '{"noticeTime": "2026-01-01T00:00:00Z"}',
}
_names = count(1)


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture
def queue(stack: LocalStack) -> Queue:
    return Queue()


@pytest.fixture
def worker(stack: LocalStack, machine: Machine, queue: Queue, tmp_path: Path) -> Iterator[Callable[[], Child]]:
    """Return a function that starts a worker of the queue on the machine."""
    started: list[Child] = []

    def start() -> Child:
        name = f"machine-{next(_names)}"
        command = [script("celery"), "-A", "botsite", "worker", "-Q", "jobs", "-I", "tests.support.worker_tasks"]
        ours = {
            "JOBS_QUEUE_URL": queue.url,
            "LIVENESS_FILE": str(tmp_path / name),
            "ASG_NAME": "objdet-yolo5",
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.url,
        }
        started.append(stack.children.start(name, [*command, "-n", name], stack.env | ours))
        return started[-1]

    yield start
    for child in started:
        child.kill()


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """The file in which jobs note that they start and end."""
    return tmp_path / "done"


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("state", [None, "InService"])
def test_worker_outside_pool_works_at_once(
    worker: Callable[[], Child], machine: Machine, queue: Queue, done: Path, state: str | None
) -> None:
    if state:
        machine.answers[STATE] = state
    queue.send("tests.slow", file=str(done), seconds=0)
    child = worker()
    wait_until(lambda: lines(done) == ["start", "end"])
    assert not child.said("machine_waiting")


@pytest.mark.smoke
def test_prepared_worker_is_alive_and_takes_no_job(
    worker: Callable[[], Child], machine: Machine, queue: Queue, done: Path, tmp_path: Path
) -> None:
    machine.answers[STATE] = "Warmed:Stopped"
    queue.send("tests.slow", file=str(done), seconds=0)
    child = worker()
    child.wait_ready(lambda: child.said("machine_waiting"))
    alive = tmp_path / child.name
    seen = alive.stat().st_mtime
    wait_until(lambda: alive.stat().st_mtime > seen)
    assert (lines(done), child.said(" ready."), queue.depth(queue.url)) == ([], False, 1)
    machine.answers[STATE] = "InService"
    wait_until(lambda: lines(done) == ["start", "end"])


def test_prepared_worker_stops_at_once(worker: Callable[[], Child], machine: Machine, queue: Queue, done: Path) -> None:
    machine.answers[STATE] = "Warmed:Stopped"
    queue.send("tests.slow", file=str(done), seconds=0)
    child = worker()
    child.wait_ready(lambda: child.said("machine_waiting"))
    child.terminate()
    # systemd waits longer, but an instance that is stopped does not.
    assert child.wait(20) == 0
    assert (lines(done), queue.depth(queue.url)) == ([], 1)


def test_silent_metadata_keeps_worker_waiting(
    worker: Callable[[], Child], machine: Machine, queue: Queue, done: Path
) -> None:
    machine.failing.add(STATE)
    queue.send("tests.slow", file=str(done), seconds=0)
    worker()
    wait_until(lambda: machine.asked.count(STATE) >= 3)
    assert (lines(done), queue.depth(queue.url)) == ([], 1)
    machine.failing.clear()
    wait_until(lambda: lines(done) == ["start", "end"])


def test_worker_returning_to_pool_drains_and_wakes_again(
    worker: Callable[[], Child], machine: Machine, queue: Queue, done: Path
) -> None:
    machine.answers[STATE] = "InService"
    first = worker()
    queue.send("tests.slow", file=str(done), seconds=2 * VISIBILITY_SECONDS)
    wait_until(lambda: lines(done) == ["start"])
    machine.answers[STATE] = "Warmed:Stopped"
    wait_until(lambda: first.said("machine_leaving"))
    queue.send("tests.slow", file=str(done), seconds=0)
    assert first.wait(PATIENCE_SECONDS) == 0
    assert first.said("lifecycle_action_completed")
    # systemd starts it again, before the machine stops.
    again = worker()
    again.wait_ready(lambda: again.said("machine_waiting"))
    assert lines(done) == ["start", "end"]
    machine.answers[STATE] = "InService"
    wait_until(lambda: lines(done) == ["start", "end"] * 2)


@pytest.mark.parametrize(("path", "answer"), [(STATE, "Terminated"), (STATE, "Warmed:Terminated"), *NOTICED.items()])
def test_worker_leaves_before_its_machine(
    worker: Callable[[], Child], machine: Machine, queue: Queue, done: Path, path: str, answer: str
) -> None:
    machine.answers[STATE] = "InService"
    child = worker()
    queue.send("tests.slow", file=str(done), seconds=1)
    wait_until(lambda: lines(done) == ["start"])
    machine.answers[path] = answer
    assert child.wait(PATIENCE_SECONDS) == 0
    assert lines(done) == ["start", "end"]
    assert child.said("lifecycle_action_completed") == (path == STATE)


@pytest.mark.parametrize("path", NOTICED)
def test_restarted_worker_takes_no_job_after_spot_notice(
    worker: Callable[[], Child], machine: Machine, queue: Queue, done: Path, path: str
) -> None:
    machine.answers |= {STATE: "InService", path: NOTICED[path]}
    queue.send("tests.slow", file=str(done), seconds=0)
    child = worker()
    child.wait_ready(lambda: child.said("machine_waiting"))
    asked = machine.asked.count(path)
    wait_until(lambda: machine.asked.count(path) > asked + 1)
    assert (lines(done), queue.depth(queue.url)) == ([], 1)
