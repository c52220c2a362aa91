"""A worker holds a bounded number of bytes of photos, whatever its slots are given."""

from threading import Event, Thread

import pytest

from detection import large_files
from tests.support.processes import wait_until


def _lend(size: int, leave: Event) -> tuple[Thread, Event]:
    entered = Event()

    def work() -> None:
        with large_files.lent(size):
            entered.set()
            leave.wait()

    thread = Thread(target=work)
    thread.start()
    return thread, entered


def test_large_files_wait_for_each_other_and_small_ones_pass() -> None:
    half, leave = large_files.BUDGET_BYTES // 2, Event()
    large = [_lend(half, leave) for _ in range(3)]
    wait_until(lambda: sum(entered.is_set() for _, entered in large) == 2)
    small, _ = _lend(0, leave)
    assert sum(entered.is_set() for _, entered in large) == 2
    leave.set()
    for thread, entered in large:
        thread.join()
        assert entered.is_set()
    small.join()
    assert large_files._lent == 0


def test_more_than_a_few_do_not_wait() -> None:
    leave = Event()
    large = [_lend(large_files.BUDGET_BYTES, leave) for _ in range(1 + large_files.WAITING_AT_MOST)]
    wait_until(lambda: large_files._waiting == large_files.WAITING_AT_MOST)
    with pytest.raises(large_files.Crowded), large_files.lent(large_files.BUDGET_BYTES):
        pass
    with large_files.lent(large_files.SMALL_BYTES):
        leave.set()
    for thread, _ in large:
        thread.join()
    assert (large_files._lent, large_files._waiting) == (0, 0)


def test_file_larger_than_everything_is_not_refused() -> None:
    with large_files.lent(10 * large_files.BUDGET_BYTES):
        assert large_files._lent == large_files.BUDGET_BYTES
    assert large_files._lent == 0
