"""Run functions in threads that keep nothing from ending."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Value = TypeVar("Value")


def start(function: Callable[[], Value]) -> Future[Value]:
    """Run a function in a daemon thread: one that hangs doesn't keep the process from ending, as an executor's does."""
    future: Future[Value] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except Exception as error:  # noqa: BLE001  # the caller gets it from the future
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future
