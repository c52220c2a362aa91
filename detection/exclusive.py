"""Make room for a photo that must run alone because the worker that had it last died: its neighbours survive it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from botsite.sqs.receiving import RECEIVING

_LOOK_SECONDS = 0.05
_count = threading.Lock()
_sharing = 0
_waiting_for_room = 0
_one_at_a_time = threading.Lock()


@contextmanager
def shared() -> Iterator[None]:
    """Work beside others."""
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
    """Work while this process has no other job in hand, and receives none.

    Jobs that were received before are finished first; those that want to be alone, too, come one after the other.
    """
    global _waiting_for_room
    with _count:
        _waiting_for_room += 1
    try:
        with RECEIVING.stopped(), _one_at_a_time:
            while _sharing or RECEIVING.held() > _waiting_for_room:
                time.sleep(_LOOK_SECONDS)
            yield
    finally:
        with _count:
            _waiting_for_room -= 1
