"""Know what this process has begun and must not leave half done: requests, and sends that outlive theirs."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# The event loop itself holds tasks by weak references only.
_tasks: set[asyncio.Task[Any]] = set()


def start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that the process finishes before it ends."""
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def finished() -> None:
    """Return when nothing is under way, including what began in the meantime."""
    while _tasks:
        await asyncio.wait(_tasks)
