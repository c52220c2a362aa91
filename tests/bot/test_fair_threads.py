"""The model's threads take turns between chats."""

import threading
from functools import partial

import pytest

from deploy.local.processes import PATIENCE_SECONDS
from detection.model.threads import FairThreads

BUSY_CHAT, QUIET_CHAT = 1, 2


def test_photo_does_not_wait_behind_another_chats_many() -> None:
    threads, free, done = FairThreads(1, "model"), threading.Event(), list[str]()
    photos = [(BUSY_CHAT, f"busy-{number}") for number in range(5)] + [(QUIET_CHAT, "quiet")]
    waiting = [threading.Thread(target=threads.do, args=(BUSY_CHAT, partial(free.wait, PATIENCE_SECONDS)))]
    waiting += [threading.Thread(target=threads.do, args=(chat, partial(done.append, name))) for chat, name in photos]
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
        FairThreads(1, "model").do(BUSY_CHAT, lambda: 1 // 0)


def test_threads_survive_errors() -> None:
    threads = FairThreads(1, "model")
    with pytest.raises(ZeroDivisionError):
        threads.do(BUSY_CHAT, lambda: 1 // 0)
    assert threads.do(BUSY_CHAT, lambda: 2) == 2
