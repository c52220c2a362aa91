"""A worker holds a bounded number of bytes of photos, whatever its slots are given."""

from threading import Event, Thread

from detection import budget

from .processes import wait_until


def _lend(size: int, leave: Event) -> tuple[Thread, Event]:
    entered = Event()

    def work() -> None:
        with budget.lent(size):
            entered.set()
            leave.wait()

    thread = Thread(target=work)
    thread.start()
    return thread, entered


def test_large_files_wait_for_each_other_and_small_ones_pass() -> None:
    half, leave = budget.BUDGET_BYTES // 2, Event()
    large = [_lend(half, leave) for _ in range(3)]
    wait_until(lambda: sum(entered.is_set() for _, entered in large) == 2)
    small, _ = _lend(0, leave)
    assert sum(entered.is_set() for _, entered in large) == 2
    leave.set()
    for thread, entered in large:
        thread.join()
        assert entered.is_set()
    small.join()
    assert budget._lent == 0


def test_file_larger_than_everything_is_not_refused() -> None:
    with budget.lent(10 * budget.BUDGET_BYTES):
        assert budget._lent == budget.BUDGET_BYTES
    assert budget._lent == 0
