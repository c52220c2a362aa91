"""Photos that keep coming while something else happens, and how long their answers take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

import numpy as np

from deploy import background
from tests.chaos.cells import Scene
from tests.chaos.crowd import Crowd


@contextmanager
def photos(crowd: Crowd, photo: bytes, every_seconds: float) -> Iterator[None]:
    """Have one person after another send the photo within the block, at a steady rate whatever the answers do."""
    over = threading.Event()

    def send() -> None:
        due = time.monotonic()
        for user in cycle(crowd.users):
            if over.wait(max(0.0, due - time.monotonic())):
                return
            crowd.send(photo, [user])
            due += every_seconds

    sending = background.start(send)
    try:
        yield
    finally:
        over.set()
        sending.result()


def p95(waits: Sequence[float]) -> float:
    """Return how long the slowest twentieth waits at least."""
    return float(np.percentile(waits, 95, method="higher")) if waits else float("inf")


def while_calm(scene: Scene, seconds: float, every_seconds: float, people: int = 20) -> float:
    """Return the p95 of answers while nothing is broken."""
    calm = scene.crowd(people)
    with photos(calm, scene.photo, every_seconds):
        time.sleep(seconds)
    calm.wait(60)
    return p95(calm.waits())
