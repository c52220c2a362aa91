"""Run functions in threads that keep nothing from ending."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from metrics.health.findings import Finding

# How the error of a read that is late begins.
LATE = "no answer within"
Value = TypeVar("Value")
Read = Callable[[], Finding[Any]]


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


def gather(
    reads: Mapping[str, Read], seconds: float, explained: Callable[[str, BaseException], Finding[Any]]
) -> dict[str, Finding[Any]]:
    """Read all at once; return the findings by name, for one that fails or is late what its error is `explained` as.

    None hides another.
    """
    running = {name: start(read) for name, read in reads.items()}
    wait(running.values(), seconds)
    found: dict[str, Finding[Any]] = {}
    for name, one in running.items():
        late = TimeoutError(f"{LATE} {seconds:g} s")
        error = one.exception() if one.done() else late
        found[name] = (explained(name, error) if error else one.result()).called(name)
    return found
