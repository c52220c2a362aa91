"""A log of every call, delivery and download, for the terminal and for tests."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .signals import Signal

logger = logging.getLogger("telegram")

_KEPT = 100_000


@dataclass(frozen=True)
class Entry:
    """A call of a method, a delivery (`webhook`) or a download (`file`).

    `time` is in seconds since 1970; `status` is the HTTP status, 0 where none arrived; `reply_to` is the message that a
    send or an edit answers, whether or not it is there; `sent` are the messages that it sent or changed; `thread_id` is
    the topic that the call names.
    """

    number: int
    method: str
    chat_id: int | None
    time: float
    status: int
    duration_ms: float
    detail: str = ""
    reply_to: int | None = None
    sent: Sequence[int] = ()
    thread_id: int | None = None


class Journal:
    """The latest entries, oldest first."""

    def __init__(self) -> None:
        self.changed = Signal()
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._number = 0

    def write(
        self,
        method: str,
        chat_id: int | None,
        started: float,
        status: int,
        detail: str = "",
        reply_to: int | None = None,
        sent: Sequence[int] = (),
        thread_id: int | None = None,
    ) -> None:
        """Add an entry for what began at the monotonic time `started` and has just ended."""
        self._number += 1
        duration = time.monotonic() - started
        began, duration_ms = time.time() - duration, round(duration * 1000, 1)
        entry = Entry(self._number, method, chat_id, began, status, duration_ms, detail, reply_to, sent, thread_id)
        self._entries.append(entry)
        self.changed.notify()
        chat = "" if chat_id is None else f" chat={chat_id}"
        outcome = f"{status or 'no answer'} {entry.duration_ms:.0f} ms {detail}".rstrip()
        logger.info("%s%s %s", method, chat, outcome)

    def clear(self) -> None:
        """Forget all entries. Numbers are not reused."""
        self._entries.clear()

    def select(self, method: str | None, chat_id: int | None, after: int) -> list[Entry]:
        """Return the entries after number `after`; only those of a method and a chat, if given."""
        return [
            entry
            for entry in self._entries
            if entry.number > after and method in (None, entry.method) and chat_id in (None, entry.chat_id)
        ]
