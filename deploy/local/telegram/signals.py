"""Wait for a condition instead of sleeping: the base of every long poll and live stream here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """Wake all who wait whenever something has changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Let everyone who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return at the next change, or after so many seconds without one."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    async def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Return True as soon as the condition holds, False when it does not within so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            remaining = deadline - loop.time()
            if remaining <= 0:
                return False
            await self.wait(remaining)
        return True
