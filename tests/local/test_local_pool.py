"""The emulated group's warm pool: prepared, stopped, started in a fraction of a boot, and returned."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from botsite import aws
from deploy.local.autoscaling.instances import State, Times
from metrics import cloudwatch
from tests.support import emulators
from tests.support.laptop import IDLE, TIME_SCALE, Laptop, publish
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow

BOOT, RESUME = 60.0, 0.0


@pytest.fixture(scope="module", autouse=True)
def emulator() -> Iterator[None]:
    with emulators.ministack():
        yield


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Callable[..., Laptop]]:
    """Return a function that makes a laptop whose instances boot in 2 s, and in none if they were prepared."""
    made: list[Laptop] = []

    def make(command: list[str] = IDLE) -> Laptop:
        made.append(Laptop(tmp_path, command, 60, Times(BOOT, RESUME)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def listed(here: Laptop) -> tuple[list[str], list[str]]:
    """Return the ids that the emulator lists in the group and in its pool."""
    group = cloudwatch.groups(here.name)[here.name]
    return [one.id for one in group.instances], [one.id for one in cloudwatch.pool(here.name)]


@pytest.mark.smoke
def test_pool_is_prepared_and_stopped(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(2)
    wait_until(lambda: len(here.stopped()) == 2)
    first, second = here.stopped()
    assert listed(here) == ([], [first.instance_id, second.instance_id])
    assert [one.child for one in (first, second)] == [None, None]
    assert here.said(f"{first.name} launches into the pool")
    assert here.said(f"{first.name} is prepared, ")
    assert here.said(f"{first.name} is stopped in the pool")
    assert (here.running, here.desired) == ([], 0)


def test_prepared_machine_starts_without_boot_and_returns(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(1)
    wait_until(here.stopped)
    [only] = here.stopped()
    here.run(1)
    assert (here.running, listed(here)) == ([only], ([only.instance_id], []))
    assert only.age < BOOT * TIME_SCALE
    assert here.said(f"{only.name} starts from the pool")
    here.resize(0)
    wait_until(lambda: here.stopped() == [only])
    assert here.said(f"{only.name} is going back to the pool and has 90 s to finish its work")
    assert listed(here) == ([], [only.instance_id])
    assert here.run(1) == [only]


def test_machines_beyond_pool_boot_and_are_terminated(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(1)
    wait_until(here.stopped)
    [warm] = here.stopped()
    _, cold = here.run(2)
    assert listed(here) == ([warm.instance_id, cold.instance_id], [])
    here.resize(0)
    wait_until(lambda: here.stopped() and not here.fleet.leaving)
    assert sorted([warm.state, cold.state]) == [State.TERMINATED, State.STOPPED]


def test_machine_returning_with_work_finishes_it_and_can_be_needed_again(
    laptop: Callable[..., Laptop], tmp_path: Path
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    here = laptop([*IDLE, str(hold)])
    here.keep_warm(1)
    [only] = here.run(1)
    here.resize(0)
    wait_until(lambda: only.child and only.child.said("finishing."))
    here.resize(1)
    wait_until(lambda: only.instance_id in here.fleet.instances)
    assert (only.state, only.child and only.child.running) == (State.STOPPING, True)
    hold.unlink()
    wait_until(lambda: only.state is State.IN_SERVICE)
    assert here.running == [only]


def test_machine_needed_again_before_it_knew_of_leaving_is_stopped_first(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(1)
    [only] = here.run(1)
    child = only.child
    assert child
    child.process.send_signal(signal.SIGSTOP)
    here.resize(0)
    wait_until(lambda: only.state is State.STOPPING)
    here.resize(1)
    wait_until(lambda: only.instance_id in here.fleet.instances)
    child.process.send_signal(signal.SIGCONT)
    wait_until(lambda: here.running == [only])
    assert child.said("finishing.")
    assert here.said(f"{only.name} is stopped in the pool")


@pytest.mark.parametrize(("before", "after"), [(1, 0), (0, 1)], ids=["to pool", "from pool"])
def test_machine_moved_while_lists_are_read_stays_the_same(
    laptop: Callable[..., Laptop], before: int, after: int
) -> None:
    here = laptop()
    here.keep_warm(1)
    wait_until(here.stopped)
    [only] = here.stopped()
    here.run(before)
    events, call = aws.client("autoscaling").meta.events, "after-call.autoscaling.DescribeAutoScalingGroups"

    def move(**_: object) -> None:
        events.unregister(call, unique_id="move")
        here.resize(after)

    events.register(call, move, unique_id="move")
    wait_until(lambda: here.running == [only] * after and here.stopped() == [only] * before)
    launches = [line for line in here.lines if " launches" in line]
    assert (len(launches), here.fleet.leaving) == (1, [])


def test_killed_machine_is_prepared_again(laptop: Callable[..., Laptop], tmp_path: Path) -> None:
    here = laptop(
        ["sh", "-c", f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; kill -9 $$; }}; exec {' '.join(IDLE)}"]
    )
    here.keep_warm(1)
    wait_until(here.stopped)
    [only] = here.stopped()
    assert here.said(f"{only.name} ended with code -9; replacing it")
    assert here.fleet.trouble is None
    assert here.run(1) == [only]


def test_machine_needed_while_it_is_prepared_goes_into_service(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(1)
    wait_until(lambda: here.fleet.pool)
    [only] = here.run(1)
    assert here.said(f"{only.name} is needed before it is prepared")


def test_removed_pool_is_terminated(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(1)
    wait_until(here.stopped)
    [only] = here.stopped()
    aws.client("autoscaling").delete_warm_pool(AutoScalingGroupName=here.name, ForceDelete=True)
    wait_until(lambda: only.state is State.TERMINATED)
    assert listed(here) == ([], [])


def test_without_reuse_machine_is_terminated_and_another_prepared(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(1, reuse=False)
    wait_until(here.stopped)
    [first] = here.run(1)
    here.resize(0)
    wait_until(here.stopped)
    [second] = here.stopped()
    assert (first.state is State.TERMINATED or first in here.fleet.leaving, first is second) == (True, False)


def test_policy_starts_prepared_machine(laptop: Callable[..., Laptop]) -> None:
    here = laptop()
    here.keep_warm(1)
    wait_until(here.stopped)
    here.scale_from_zero()
    publish(here, "BacklogWithoutCapacity", 1)
    wait_until(lambda: len(here.running) == 1)
    assert here.said(f"{here.name}: 0 → 1, BacklogWithoutCapacity is 1")
