"""Hand updates to the site as Telegram does: over HTTP with the secret, each chat in order, until they are taken.

So a laptop's bot has no path of its own: what a 5xx, a repeat or a malformed update means is decided in
botsite/views.py alone, and a handler that hangs or dies takes a site's process with it, not the polling.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.local.poll.asking import Say

# Telegram itself drops updates after that time.
_KEPT_SECONDS = 24 * 3600
# What the webhook is registered with.
_AT_ONCE = 40
# Longer than the site ever takes.
_ANSWER_SECONDS = 90
_LONGEST_WAIT_SECONDS = 60.0
_HEADER = "X-Telegram-Bot-Api-Secret-Token"


@dataclass(frozen=True, slots=True)
class Update:
    """An update as Telegram sent it; `came` is when, in monotonic seconds."""

    fields: dict[str, Any]
    came: float = field(default_factory=time.monotonic)

    @property
    def number(self) -> int:
        """Return its id."""
        number: int = self.fields["update_id"]
        return number

    @property
    def body(self) -> bytes:
        """Return the update as JSON."""
        return json.dumps(self.fields).encode()

    @property
    def lane(self) -> str:
        """Return the queue it belongs to: as with a webhook, a chat's messages and a person's presses have an order."""
        for kind in self.fields.values():
            if isinstance(kind, dict):
                place = kind.get("chat") if "chat" in kind else kind.get("from")
                return f"{'chat' if 'chat' in kind else 'person'}:{_identity(place)}"
        return f"update:{self.number}"

    @property
    def expired(self) -> bool:
        """Return whether it is too old to matter."""
        return time.monotonic() - self.came > _KEPT_SECONDS


def _identity(place: Any) -> object:
    return place.get("id") if isinstance(place, dict) else None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where the site takes updates, and the secret that it expects."""

    url: str
    secret: str


class Lanes:
    """The updates on their way to the site, a queue for each chat. `done` is called with each that was taken."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        client: httpx.AsyncClient,
        webhook: Webhook,
        done: Callable[[Update], None],
        say: Say,
    ) -> None:
        self._tasks, self._client, self._webhook, self._done, self._say = tasks, client, webhook, done, say
        self._lanes: dict[str, deque[Update]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def put(self, update: Update) -> None:
        """Queue an update."""
        lane = update.lane
        if lane in self._lanes:
            self._lanes[lane].append(update)
            return
        self._lanes[lane] = deque([update])
        self._tasks.create_task(self._drain(lane))

    async def _drain(self, lane: str) -> None:
        queue = self._lanes[lane]
        while queue:
            await self._deliver(queue[0], lane)
            self._done(queue.popleft())
        del self._lanes[lane]

    async def _deliver(self, update: Update, lane: str) -> None:
        """Post an update until the site takes it, or it is too old to matter."""
        failures = 0
        while not update.expired:
            problem, wait = await self._post(update)
            if not problem:
                return
            failures += 1
            wait = wait or min(2.0 ** (failures - 1), _LONGEST_WAIT_SECONDS)
            self._say(f"{lane} has to wait {wait:g} s: {problem}")
            await asyncio.sleep(wait)

    async def _post(self, update: Update) -> tuple[str, float]:
        """Post an update once; return what kept it from being taken, and for how long to wait if the site says so."""
        headers = {"Content-Type": "application/json", _HEADER: self._webhook.secret}
        try:
            async with self._slots:
                response = await self._client.post(
                    self._webhook.url, content=update.body, headers=headers, timeout=_ANSWER_SECONDS
                )
        except httpx.HTTPError as error:
            return f"the site doesn't answer ({type(error).__name__})", 0.0
        if response.is_success or response.status_code == httpx.codes.BAD_REQUEST:
            # What is no update now will be none later.
            return "", 0.0
        again = response.headers.get("Retry-After", "")
        return f"the site answers {response.status_code}", float(again) if again.isdigit() else 0.0
