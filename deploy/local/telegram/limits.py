"""Enforce Telegram's rate limits: 30 messages a second, 1 a second to a chat, 20 a minute to a group.

The limits are in real time, because the bot waits its `retry_after` in real time too.
"""

from __future__ import annotations

import math
import time
from collections import deque

from .faults import too_many_requests

_BOT_MESSAGES, _BOT_SECONDS = 30, 1.0
_CHAT_BURST, _CHAT_SECONDS = 3, 1.0
_GROUP_MESSAGES, _GROUP_SECONDS = 20, 60.0


class _Window:
    """At most `count` events in any window of `seconds`."""

    def __init__(self, events: int, seconds: float) -> None:
        self._times: deque[float] = deque(maxlen=events)
        self._seconds = seconds

    def wait(self, now: float, count: int) -> float:
        """Return how many seconds until `count` more events fit."""
        free = (self._times.maxlen or 0) - len(self._times)
        if free >= count or not self._times:
            return 0.0
        blocking = self._times[min(count - free, len(self._times)) - 1]
        return max(0.0, blocking + self._seconds - now)

    def add(self, now: float, count: int) -> None:
        self._times.extend([now] * count)


class _Bucket:
    """One token a second, with room for a few."""

    def __init__(self) -> None:
        self._full_at = 0.0

    def wait(self, now: float, count: int) -> float:
        """Return how many seconds until there are `count` tokens."""
        missing = max(self._full_at, now) - now + count * _CHAT_SECONDS - max(_CHAT_BURST, count) * _CHAT_SECONDS
        return max(0.0, missing)

    def add(self, now: float, count: int) -> None:
        self._full_at = max(self._full_at, now) + count * _CHAT_SECONDS


class RateLimits:
    """All limits of one bot."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what was sent."""
        self._bot = _Window(_BOT_MESSAGES, _BOT_SECONDS)
        self._chats: dict[int, _Bucket] = {}
        self._groups: dict[int, _Window] = {}
        self._set_webhook = _Window(1, 1.0)

    def count_messages(self, chat_id: int, count: int = 1) -> None:
        """Count messages to a chat; raise 429 with `retry_after`, and count nothing, if that is too many."""
        now = time.monotonic()
        limits: list[_Window | _Bucket] = [self._bot, self._chats.setdefault(chat_id, _Bucket())]
        if chat_id < 0:
            limits.append(self._groups.setdefault(chat_id, _Window(_GROUP_MESSAGES, _GROUP_SECONDS)))
        self._check(limits, now, count)

    def count_set_webhook(self) -> None:
        """Count a setWebhook; raise 429 for a second one within a second."""
        self._check([self._set_webhook], time.monotonic(), 1)

    @staticmethod
    def _check(limits: list[_Window | _Bucket], now: float, count: int) -> None:
        wait = max(limit.wait(now, count) for limit in limits)
        if wait > 0:
            raise too_many_requests(math.ceil(wait))
        for limit in limits:
            limit.add(now, count)
