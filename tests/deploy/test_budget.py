"""A worker holds a bounded number of bytes of photos, whatever its slots are given, and chats take turns for them."""

from itertools import count
from threading import Event, Thread

import pytest

from detection.model.large_files import BUDGET_BYTES, SMALL_BYTES, WAITING_AT_MOST, Budget, Crowded
from tests.support.processes import wait_until

CHAT, OTHER = 1, 2
_chats = count(100)


@pytest.fixture
def budget() -> Budget:
    return Budget(BUDGET_BYTES, free=SMALL_BYTES)


@pytest.fixture
def decoder() -> Budget:
    return Budget(1)


def _lend(budget: Budget, size: int, leave: Event) -> tuple[Thread, Event]:
    entered = Event()

    def work() -> None:
        with budget.lent(size, next(_chats)):
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
    assert budget.used == 0


def test_only_a_few_wait(budget: Budget) -> None:
    leave = Event()
    large = [_lend(budget, BUDGET_BYTES, leave) for _ in range(1 + WAITING_AT_MOST)]
    wait_until(lambda: budget.waiting == WAITING_AT_MOST)
    with pytest.raises(Crowded), budget.lent(BUDGET_BYTES, CHAT):
        pass
    with budget.lent(SMALL_BYTES, CHAT):
        leave.set()
    for thread, _ in large:
        thread.join()
    assert (budget.used, budget.waiting) == (0, 0)


def test_file_larger_than_everything_is_not_refused(budget: Budget) -> None:
    with budget.lent(10 * BUDGET_BYTES, CHAT):
        assert budget.used == BUDGET_BYTES
    assert budget.used == 0


class File:
    """A file of a chat at the decoder, which it leaves when told to."""

    def __init__(self, decoder: Budget, chat_id: int, leave: Event, done: list[int]) -> None:
        self.crowded = False
        self.thread = Thread(target=self._work, args=(decoder, chat_id, leave, done))
        self.thread.start()

    def _work(self, decoder: Budget, chat_id: int, leave: Event, done: list[int]) -> None:
        try:
            with decoder.lent(1, chat_id):
                leave.wait()
                done.append(chat_id)
        except Crowded:
            self.crowded = True


def crowded(decoder: Budget, *chats: int) -> tuple[list[int], list[int]]:
    """Have files of these chats come, one after the other; return the chats that were served, and those that were not.

    The first is at the decoder until all have come.
    """
    leave, done = Event(), list[int]()
    files: list[File] = []
    for chat_id in chats:
        files.append(File(decoder, chat_id, leave, done))
        wait_until(lambda: decoder.used + decoder.waiting + sum(file.crowded for file in files) == len(files))
    leave.set()
    for file in files:
        file.thread.join()
    return done, [chat_id for chat_id, file in zip(chats, files, strict=True) if file.crowded]


def test_one_chat_leaves_decoder_to_others(decoder: Budget) -> None:
    done, left = crowded(decoder, *[CHAT] * (1 + WAITING_AT_MOST), OTHER, CHAT)
    assert done == [CHAT, OTHER, CHAT, CHAT]
    assert left == [CHAT, CHAT]


def test_chat_with_least_time_at_decoder_is_next(decoder: Budget) -> None:
    busy = range(10, 15)
    for chat_id in busy:
        with decoder.lent(1, chat_id):
            pass
    done, left = crowded(decoder, *busy[:-1], OTHER, busy[-1])
    assert done[:2] == [busy[0], OTHER]
    assert len(left) == 2
