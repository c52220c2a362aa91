"""Run a photo alone if the last worker that had it died, so that it takes no other photos down with it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from botsite import sqs

_LOOK_SECONDS = 0.05
_count = threading.Lock()
_sharing = 0
_waiting_for_room = 0
_one_at_a_time = threading.Lock()


@contextmanager
def shared() -> Iterator[None]:
    """Work alongside other jobs."""
    global _sharing
    with _count:
        _sharing += 1
    try:
        yield
    finally:
        with _count:
            _sharing -= 1


@contextmanager
def alone() -> Iterator[None]:
    """Work while this process has no other job and receives none.

    Jobs received earlier finish first; those that also have to run alone take turns.
    """
    global _waiting_for_room
    with _count:
        _waiting_for_room += 1
    try:
        with sqs.RECEIVING.stopped(), _one_at_a_time:
            while _sharing or sqs.RECEIVING.held() > _waiting_for_room:
                time.sleep(_LOOK_SECONDS)
            yield
    finally:
        with _count:
            _waiting_for_room -= 1
