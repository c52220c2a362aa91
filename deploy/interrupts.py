"""Change how signals are handled for the length of a block."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
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


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set; they also end the block, with a KeyboardInterrupt that stays inside.

    The cleaning up that follows is not interrupted. Outside the main thread the event is never set.
    """
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        # A second one would interrupt the cleaning up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stopped.set()
        raise KeyboardInterrupt

    with handled(signal.SIGINT, signal.SIGTERM, handler=stop):
        try:
            yield stopped
        except KeyboardInterrupt:
            if not stopped.is_set():
                raise


@contextmanager
def when_told(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at each Ctrl-C and SIGTERM within the block, in the running event loop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:
                signal.signal(number, handler)
