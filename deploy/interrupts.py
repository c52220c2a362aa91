"""Change how signals are handled for the length of a block."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def handled(*numbers: signal.Signals, handler: Any) -> Iterator[None]:
    """Handle these signals with `handler` inside the block; Python delivers none to a thread but the main one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def as_ctrl_c(number: int, frame: FrameType | None) -> None:
    """Treat a signal like Ctrl-C, so that `finally` blocks run."""
    raise KeyboardInterrupt
