"""Take signals otherwise for the length of a block."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def handled(*numbers: signal.Signals, handler: Any) -> Iterator[None]:
    """Handle signals otherwise for the length of a block; a thread other than the main one gets none anyhow."""
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
    """Handle a signal as Python handles Ctrl-C, so that `finally` is run."""
    raise KeyboardInterrupt
