"""Track what this process must finish before it ends: requests, and sends that outlive their request."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# The event loop itself keeps only weak references to tasks.
_tasks: set[asyncio.Task[Any]] = set()
# Answers, with the time when they began. One that takes longer waits for something else than this process.
_answers: dict[asyncio.Task[Any], float] = {}
_LONG_SECONDS = 3.0


def start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that the process finishes before it ends."""
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def start_answer(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start such a task that answers a photo."""
    task = start(work)
    _answers[task] = time.monotonic()
    task.add_done_callback(_answers.pop)
    return task


def answering() -> bool:
    """Return whether this process is busy with an answer."""
    return any(time.monotonic() - began < _LONG_SECONDS for began in _answers.values())


async def finished() -> None:
    """Wait until nothing is in flight, including tasks started meanwhile."""
    while _tasks:
        await asyncio.wait(_tasks)
