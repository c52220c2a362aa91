"""Post updates to the webhook as Telegram does: one at a time in a chat, again until the answer is 2xx."""

import asyncio
import random
import ssl
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from deploy.loadtest.records import Photo

# setWebhook's default of max_connections.
CONNECTIONS = 40
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name
# Telegram waits so long for an answer, tries again at once, then after 2, 4, 8 ... s, at most a minute or two.
_ANSWER_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = (60.0, 120.0)


@dataclass
class Sender:
    """Connections to the webhook. `stopped` ends the sending; what is under way then is still answered."""

    url: str
    secret: str = field(repr=False)
    tls: ssl.SSLContext | bool = True
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.client = httpx.AsyncClient(
            verify=self.tls,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=10),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            headers={SECRET_HEADER: self.secret},
        )

    async def send(self, photos: Sequence[Photo], offsets: Sequence[float]) -> None:
        """Send each photo so many seconds after now; return when all are taken, or when told to stop."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for photo, offset in zip(photos, offsets, strict=True):
                if await pause(self.stopped, started + offset - time.monotonic()):
                    return
                group.create_task(self._insist(photo))

    async def probe(self) -> int:
        """Return the webhook's status for an update that asks for nothing."""
        return (await self.client.post(self.url, json={"update_id": random.getrandbits(30)})).status_code

    async def _insist(self, photo: Photo) -> None:
        """Send a photo in its chat's turn until it is taken."""
        photo.sent_at = time.time()
        async with self._turns[photo.chat_id]:
            while not self.stopped.is_set():
                async with self._slots:
                    status, retry_after = await self._post(photo)
                if 200 <= status <= 299:
                    photo.taken_at = time.time()
                    return
                await pause(self.stopped, retry_after or _backoff(len(photo.posts)))
            if not photo.posts:
                # Its turn never came.
                photo.sent_at = None

    async def _post(self, photo: Photo) -> tuple[int, float]:
        """Return status and Retry-After in seconds, both 0 where no answer came."""
        try:
            answer = await self.client.post(self.url, json=photo.update)
        except httpx.TransportError:
            photo.posts.append(0)
            return 0, 0.0
        photo.posts.append(answer.status_code)
        retry_after = answer.headers.get("Retry-After", "")
        return answer.status_code, float(retry_after) if retry_after.isdigit() else 0.0


def _backoff(posts: int) -> float:
    longest = random.uniform(*_LONGEST_BACKOFF_SECONDS)  # noqa: S311 - spreads retries, guards nothing
    return 0.0 if posts == 1 else min(2.0 ** min(posts - 1, 7), longest)


async def pause(stopped: asyncio.Event, seconds: float) -> bool:
    """Wait so long unless told to stop; return whether that was told."""
    if seconds > 0 and not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), seconds)
    return stopped.is_set()
