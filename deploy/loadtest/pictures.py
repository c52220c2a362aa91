"""Find the photos of a load test, and give them to Telegram once, so that it has a file_id for each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from telegram import Message

from botsite.bot import api
from botsite.bot.errors import TelegramError
from deploy.loadtest.errors import LoadTestError
from deploy.loadtest.updates import Sizes
from detection import image_headers

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Each is a message in a chat of the operator: a load test needs variety, not a library.
MOST = 20
# Telegram's own limit for a photo from a bot.
_LARGEST_BYTES = 10 * 1024 * 1024


def of_folder(folder: Path) -> list[bytes]:
    """Return up to MOST images of a folder, in order of their names. Raise LoadTestError if it holds none."""
    if not folder.is_dir():
        raise LoadTestError(f"--folder {folder}: there is no such folder.")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)[:MOST]
    if not files:
        raise LoadTestError(f"--folder {folder} holds no photo: it needs files that end in {', '.join(_SUFFIXES)}.")
    return [_checked(file) for file in files]


def _checked(file: Path) -> bytes:
    data = file.read_bytes()
    try:
        image_headers.read(data)
    except image_headers.UnreadableImage as error:
        raise LoadTestError(f"{file} is no photo that the bot would take: {error}") from error
    if len(data) > _LARGEST_BYTES:
        raise LoadTestError(f"{file} has {len(data) / 1024**2:.0f} MB; Telegram takes photos of up to 10 MB.")
    return data


@dataclass(frozen=True)
class Uploaded:
    """What Telegram made of the photos: for each its sizes, and the number of the last message with one."""

    sizes: Sequence[Sizes]
    last_message_id: int


async def upload(pictures: Sequence[bytes], chat_id: int, report: Callable[[str], None]) -> Uploaded:
    """Have the bot send each photo to the chat. Raise LoadTestError if Telegram does not take them."""
    messages = []
    for number, picture in enumerate(pictures, 1):
        report(f"giving Telegram photo {number} of {len(pictures)}")
        caption = f"Load test, photo {number} of {len(pictures)}"
        messages.append(await _send(picture, chat_id, caption))
    sizes = [[size.to_dict() for size in message.photo] for message in messages]
    return Uploaded(sizes, messages[-1].message_id)


async def _send(picture: bytes, chat_id: int, caption: str) -> Message:
    while True:
        try:
            return await api.send_image(chat_id, picture, caption, form="photo", reply_to=0)
        except TelegramError as error:
            if error.retry_after_seconds is None:
                raise LoadTestError(f"Telegram did not take a photo for chat {chat_id}: {error}") from error
            await asyncio.sleep(error.retry_after_seconds)
