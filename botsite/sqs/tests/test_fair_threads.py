"""Threads take turns between users."""

import multiprocessing
import sys
import threading
from functools import partial

import pytest

from .. import FairThreads

PATIENCE_SECONDS = 120.0


def test_call_does_not_wait_behind_the_many_of_another_user() -> None:
    threads, free, done = FairThreads(1, "calls"), threading.Event(), list[str]()
    calls = [("busy", f"busy-{number}") for number in range(5)] + [("quiet", "quiet")]
    waiting = [threading.Thread(target=threads.do, args=("busy", partial(free.wait, PATIENCE_SECONDS)))]
    waiting += [threading.Thread(target=threads.do, args=(user, partial(done.append, name))) for user, name in calls]
    for thread in waiting:
        thread.start()
        # All of them are to wait, in this order, before the first is done.
        while thread is not waiting[0] and threads.waiting < waiting.index(thread):
            assert thread.is_alive()
    free.set()
    for thread in waiting:
        thread.join(PATIENCE_SECONDS)
    assert done == ["quiet", *(f"busy-{number}" for number in range(5))]


def test_errors_are_raised_in_calling_thread() -> None:
    with pytest.raises(ZeroDivisionError):
        FairThreads(1, "calls").do("busy", lambda: 1 // 0)


def test_threads_survive_errors() -> None:
    threads = FairThreads(1, "calls")
    with pytest.raises(ZeroDivisionError):
        threads.do("busy", lambda: 1 // 0)
    assert threads.do("busy", lambda: 2) == 2


def test_threads_work_in_forked_process() -> None:
    threads = FairThreads(1, "calls")
    child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(threads.do("anybody", lambda: 7)))
    child.start()
    child.join(PATIENCE_SECONDS)
    assert child.exitcode == 7
