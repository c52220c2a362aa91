"""A worker holds a bounded number of bytes of photos, whatever its slots are given."""

from threading import Event, Thread

import pytest

from detection.large_files import BUDGET_BYTES, SMALL_BYTES, WAITING_AT_MOST, Budget, Crowded
from tests.support.processes import wait_until


@pytest.fixture
def budget() -> Budget:
    return Budget(BUDGET_BYTES)


def _lend(budget: Budget, size: int, leave: Event) -> tuple[Thread, Event]:
    entered = Event()

    def work() -> None:
        with budget.lent(size):
            entered.set()
            leave.wait()

    thread = Thread(target=work)
    thread.start()
    return thread, entered


def test_large_files_wait_for_each_other_and_small_ones_pass(budget: Budget) -> None:
    half, leave = BUDGET_BYTES // 2, Event()
    large = [_lend(budget, half, leave) for _ in range(3)]
    wait_until(lambda: sum(entered.is_set() for _, entered in large) == 2)
    small, passed = _lend(budget, 0, leave)
    wait_until(passed.is_set)
    assert sum(entered.is_set() for _, entered in large) == 2
    leave.set()
    for thread, entered in large:
        thread.join()
        assert entered.is_set()
    small.join()
    assert budget.lent_bytes == 0


def test_only_a_few_wait(budget: Budget) -> None:
    leave = Event()
    large = [_lend(budget, BUDGET_BYTES, leave) for _ in range(1 + WAITING_AT_MOST)]
    wait_until(lambda: budget.waiting == WAITING_AT_MOST)
    with pytest.raises(Crowded), budget.lent(BUDGET_BYTES):
        pass
    with budget.lent(SMALL_BYTES):
        leave.set()
    for thread, _ in large:
        thread.join()
    assert (budget.lent_bytes, budget.waiting) == (0, 0)


def test_file_larger_than_everything_is_not_refused(budget: Budget) -> None:
    with budget.lent(10 * BUDGET_BYTES):
        assert budget.lent_bytes == BUDGET_BYTES
    assert budget.lent_bytes == 0
