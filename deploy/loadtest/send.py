"""Send photos to the webhook as Telegram does: one at a time in a chat, again until the answer is 2xx.

The bot gives each picture to Telegram once; the updates then carry its real file_id in a message that Telegram never
numbered.
"""

import asyncio
import random
import secrets
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
from telegram import Message

from botsite.bot.incoming import receive, updates
from botsite.bot.telegram import api, client
from botsite.bot.telegram.errors import TelegramError
from deploy.loadtest.plan import LoadTestError, Photo
from deploy.patience import Say
from detection.picture import image_headers

# Each becomes a message in one of the operator's chats: a load test needs variety, not a library.
MOST_PICTURES = 20
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Telegram's own limit for a photo from a bot.
_LARGEST_BYTES = 10 * 1024 * 1024

# Telegram counts messages in 32 bits and from 1: no real message has an id in the upper half. When the bot cannot find
# the message it replies to, it sends its answer without a reply.
_FIRST_ID, _LAST_ID = 2**30, 2**31 - 1
# Telegram numbers supergroups from here down; other negative ids are plain groups.
_FIRST_SUPERGROUP = -1_000_000_000_000
# The sender in a group, where a person's id differs from the chat's.
_MEMBER_ID = 1

# setWebhook's default of max_connections.
_CONNECTIONS = 40
_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name
# Telegram waits this long for an answer, tries again at once, then after 2, 4, 8 ... s, at most a minute or two.
_ANSWER_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = (60.0, 120.0)

# A picture's PhotoSize objects.
Sizes = Sequence[Mapping[str, Any]]
# Sends one photo, and returns when the service has it; nothing is begun once the event is set.
Send = Callable[[Photo, asyncio.Event], Coroutine[None, None, None]]


def pictures(folder: Path) -> list[bytes]:
    """Return up to MOST_PICTURES images from a folder, sorted by name. Raise LoadTestError if it has none."""
    if not folder.is_dir():
        raise LoadTestError(f"--folder {folder}: there is no such folder.")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)[:MOST_PICTURES]
    if not files:
        raise LoadTestError(f"--folder {folder} holds no photo: it needs files ending in {', '.join(_SUFFIXES)}.")
    return [_picture(file) for file in files]


def _picture(file: Path) -> bytes:
    data = file.read_bytes()
    try:
        image_headers.read(data)
    except image_headers.UnreadableImage as error:
        raise LoadTestError(f"{file} is no photo that the bot accepts: {error}") from error
    if len(data) > _LARGEST_BYTES:
        raise LoadTestError(f"{file} is {len(data) / 1024**2:.0f} MB; Telegram accepts photos up to 10 MB.")
    return data


async def upload(images: Sequence[bytes], chat_id: int, say: Say) -> list[Sizes]:
    """Have the bot send each picture to the chat; return their sizes. Raise LoadTestError if Telegram refuses one."""
    messages = []
    for number, image in enumerate(images, 1):
        say(f"giving Telegram photo {number} of {len(images)}")
        messages.append(await _upload(image, chat_id, f"Load test, photo {number} of {len(images)}"))
    return [[size.to_dict() for size in message.photo] for message in messages]


async def _upload(image: bytes, chat_id: int, caption: str) -> Message:
    while True:
        try:
            return await api.send_image(chat_id, image, caption, form="photo", name="photo.jpg", reply_to=0)
        except TelegramError as error:
            if error.retry_after_seconds is None:
                raise LoadTestError(f"Telegram refused a photo for chat {chat_id}: {error}") from error
            await asyncio.sleep(error.retry_after_seconds)


def photos(number: int, chat_ids: Sequence[int], uploaded: Sequence[Sizes]) -> list[Photo]:
    """Return `number` photos ready to be sent; chats and pictures take turns."""
    first_id = _FIRST_ID + secrets.randbelow(_LAST_ID - _FIRST_ID - number)
    turns = islice(zip(cycle(chat_ids), cycle(uploaded), strict=False), number)
    return [_photo(count, chat_id, first_id + count, sizes) for count, (chat_id, sizes) in enumerate(turns)]


def _photo(number: int, chat_id: int, message_id: int, sizes: Sizes) -> Photo:
    bot_id = client.bot_id()
    update = _update(chat_id, message_id, sizes, bot_id)
    read = updates.read(update)
    assert isinstance(read, updates.Photo)
    return Photo(number, chat_id, message_id, receive.prediction_id(bot_id, read), update)


def _update(chat_id: int, message_id: int, sizes: Sizes, bot_id: int) -> dict[str, Any]:
    """Return an update with a photo. In a group it replies to the bot, which ignores others there."""
    kind = "private" if chat_id > 0 else "supergroup" if chat_id < _FIRST_SUPERGROUP else "group"
    name = {"first_name": "Load test"} if chat_id > 0 else {"title": "Load test"}
    message = {
        "message_id": message_id,
        "date": int(time.time()),
        "chat": {"id": chat_id, "type": kind, **name},
        "from": {"id": chat_id if chat_id > 0 else _MEMBER_ID, "is_bot": False, "first_name": "Load test"},
        "photo": [dict(size) for size in sizes],
    }
    if chat_id < 0:
        bot = {"id": bot_id, "is_bot": True, "first_name": "Bot"}
        message["reply_to_message"] = message | {"message_id": message_id - 1, "from": bot}
    return {"update_id": message_id, "message": message}


@dataclass
class WebhookClient:
    """Connections to the webhook, on which photos are sent as Telegram sends them."""

    url: str
    secret: str = field(repr=False)
    tls: ssl.SSLContext | bool = True

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.client = httpx.AsyncClient(
            verify=self.tls,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=10),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            headers={_SECRET_HEADER: self.secret},
        )

    async def probe(self) -> int:
        """Return the webhook's status for an update that asks for nothing."""
        return (await self.client.post(self.url, json={"update_id": random.getrandbits(30)})).status_code

    async def send(self, photo: Photo, stopped: asyncio.Event) -> None:
        """Wait for the chat's turn and send the photo until it is accepted; once stopped, don't try again."""
        photo.sent_at = time.time()
        async with self._turns[photo.chat_id]:
            while not stopped.is_set():
                async with self._slots:
                    status, retry_after = await self._post(photo)
                if 200 <= status <= 299:
                    photo.taken_at = time.time()
                    return
                await pause(stopped, retry_after or _backoff(len(photo.posts)))
            if not photo.posts:
                # Its turn never came.
                photo.sent_at = None

    async def _post(self, photo: Photo) -> tuple[int, float]:
        """Return status and Retry-After in seconds, both 0 if no answer came."""
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


async def in_time(photos: Sequence[Photo], offsets: Sequence[float], send: Send, stopped: asyncio.Event) -> None:
    """Send each photo at its offset from now, in seconds; return when all are accepted, or when stopped."""
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for photo, offset in zip(photos, offsets, strict=True):
            if await pause(stopped, started + offset - time.monotonic()):
                return
            group.create_task(send(photo, stopped))


async def pause(stopped: asyncio.Event, seconds: float) -> bool:
    """Wait, but not once stopped; return whether it was stopped."""
    if seconds > 0 and not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), seconds)
    return stopped.is_set()
