"""The updates that the bot has not received yet, in queues like Telegram's."""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .calls import ApiError, JsonObject
from .settings import Settings
from .signals import Signal

LIFETIME_SECONDS = 24 * 3600
CALLBACK_LIFETIME_SECONDS = 150
_KEPT_FOR_REDELIVERY = 10_000
_MAX_POLL_SECONDS = 50
_LARGEST_ID = 2**31 - 1


@dataclass(eq=False)
class Update:
    """An update to be delivered. A malformed one, injected by a test, has nothing but a body."""

    number: int
    body: bytes
    lane: str
    expires_at: float
    update_id: int | None = None
    chat_id: int | None = None
    statuses: list[int] = field(default_factory=list)
    failures: int = 0
    settled: bool = False
    followers: list[Update] = field(default_factory=list)

    def to_json(self) -> JsonObject:
        """Return what became of it: HTTP statuses in order, 0 where no answer came."""
        return {"update_id": self.update_id, "statuses": self.statuses, "settled": self.settled}


class Updates:
    """The pending updates; `lanes` are queues, each delivered to the webhook one update at a time."""

    def __init__(self, settings: Settings) -> None:
        self.changed = Signal()
        self.allowed: list[str] | None = None
        self.lanes: dict[str, deque[Update]] = {}
        self._settings = settings
        self._numbers = itertools.count(1)
        self._next_id = 100_000_001
        self._sent: deque[Update] = deque(maxlen=_KEPT_FOR_REDELIVERY)
        self._polls = itertools.count(1)
        self._poll = 0
        self._ended_by = ""

    def pending(self) -> list[Update]:
        """Return the updates in the order they happened."""
        return sorted((update for lane in self.lanes.values() for update in lane), key=lambda update: update.number)

    def make(self, kind: str, payload: JsonObject, lane: str, chat_id: int) -> Update | None:
        """Return a new update, or None if the bot does not want its kind."""
        if self.allowed and kind not in self.allowed:
            return None
        update_id, self._next_id = self._next_id, self._next_id + 1
        seconds = CALLBACK_LIFETIME_SECONDS if kind == "callback_query" else LIFETIME_SECONDS
        update = self._update(json.dumps({"update_id": update_id, kind: payload}).encode(), lane, seconds)
        update.update_id, update.chat_id = update_id, chat_id
        return update

    def make_raw(self, body: bytes) -> Update:
        """Return an update with any body, in the queue of the chat that it names, if any.

        Later updates have higher ids, as with Telegram: a poller would take the others for confirmed.
        """
        update = self._update(body, "injected", LIFETIME_SECONDS)
        try:
            fields = json.loads(body)
            update.update_id = int(fields["update_id"]) if "update_id" in fields else None
            if self._next_id <= (update.update_id or 0) < _LARGEST_ID:
                self._next_id = (update.update_id or 0) + 1
            update.chat_id = int(fields.get("message", fields.get("edited_message"))["chat"]["id"])
            update.lane = f"chat:{update.chat_id}"
        except (ValueError, TypeError, KeyError, AttributeError):
            # Tests also send what cannot be read.
            return update
        return update

    def put(self, update: Update) -> None:
        """Add an update to its queue."""
        self.lanes.setdefault(update.lane, deque()).append(update)
        self._sent.append(update)
        self.changed.notify()

    def remove(self, update: Update) -> None:
        """Remove an update that was delivered or dropped, and queue those that waited for it."""
        update.settled = True
        lane = self.lanes.get(update.lane, deque())
        if update in lane:
            lane.remove(update)
        if not lane:
            self.lanes.pop(update.lane, None)
        followers, update.followers = update.followers, []
        for follower in followers:
            self.put(follower)
        self.changed.notify()

    def clear(self) -> None:
        """Drop all pending updates."""
        for update in self.pending():
            update.followers.clear()
            self.remove(update)

    def sent(self, update_id: int) -> Update | None:
        """Return the latest update with this id, pending or not."""
        return next((update for update in reversed(self._sent) if update.update_id == update_id), None)

    def latest(self, chat_id: int | None = None) -> list[Update]:
        """Return the latest updates, pending or not, oldest first; only those of a chat, if given."""
        return [update for update in self._sent if chat_id in (None, update.chat_id)]

    def end_poll(self, by: str) -> int:
        """End the poll that is waiting, if any; return the number of the next one."""
        self._poll, self._ended_by = next(self._polls), by
        self.changed.notify()
        return self._poll

    async def poll(self, offset: int, limit: int, seconds: int) -> list[Any]:
        """Return pending updates from `offset` on, waiting for one; those before it count as received."""
        poll = self.end_poll("other getUpdates request; make sure that only one bot instance is running")
        pending = self.pending()
        if offset < 0:
            offset = min((update.update_id or 0 for update in pending[offset:]), default=0)
        for update in pending:
            if (update.update_id or 0) < offset:
                self.remove(update)

        def ready() -> bool:
            return self._poll != poll or bool(self.lanes)

        await self.changed.wait_until(ready, min(seconds, _MAX_POLL_SECONDS))
        if self._poll != poll:
            raise ApiError(409, f"Conflict: terminated by {self._ended_by}")
        readable = (update for update in self.pending() if update.update_id is not None)
        return [json.loads(update.body) for update in itertools.islice(readable, limit)]

    def _update(self, body: bytes, lane: str, seconds: float) -> Update:
        return Update(next(self._numbers), body, lane, time.monotonic() + self._settings.scaled(seconds))
