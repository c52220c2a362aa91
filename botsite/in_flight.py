"""Track what this process must finish before it ends: requests, and sends that outlive their request."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# The event loop itself keeps only weak references to tasks.
_tasks: set[asyncio.Task[Any]] = set()


def start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that the process finishes before it ends."""
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def finished() -> None:
    """Wait until nothing is in flight, including tasks started meanwhile."""
    while _tasks:
        await asyncio.wait(_tasks)
