"""Read a Telegram update into what it means to this bot. Everything a stranger can send ends up here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from telegram import Message, Update

# The Bot API gives bots no larger file.
MAX_FILE_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What every message has. `sent_at` is when its sender sent it, in UTC."""

    chat_id: int
    message_id: int
    sent_at: datetime

    @property
    def age_seconds(self) -> float:
        """Return how long ago that was."""
        return (datetime.now(UTC) - self.sent_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo(_Said):
    """An image somebody wants looked at. `file_bytes` is Telegram's word for its size, if it gave one."""

    file_id: str
    file_unique_id: str
    file_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(_Said):
    """A command such as /start, without its slash and without arguments."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(_Said):
    """A message of a kind that is no photo; `kind` is a word for it, such as "sticker"."""

    kind: str


class Malformed(ValueError):
    """The body is no update of the Bot API."""


# In Telegram's order of precedence: an animation also carries a document, so it is looked for first.
_OTHER_KINDS = ("animation", "video", "video_note", "voice", "audio", "sticker", "location", "contact", "poll")


def read(body: Any) -> Photo | Command | Other | None:
    """Return what an update asks for, or None if it asks for nothing. Raise Malformed if it is not an update."""
    try:
        update = Update.de_json(body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Malformed(f"not an update: {error!r}") from error
    message = update.message if update else None
    return _read_message(message) if isinstance(message, Message) else None


def _read_message(message: Message) -> Photo | Command | Other | None:
    where: Any = {"chat_id": message.chat.id, "message_id": message.message_id, "sent_at": message.date}
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        return Photo(
            **where, file_id=largest.file_id, file_unique_id=largest.file_unique_id, file_bytes=largest.file_size
        )
    for kind in _OTHER_KINDS:
        if getattr(message, kind):
            return Other(**where, kind=kind.replace("_", " "))
    if message.document:
        file = message.document
        return Photo(**where, file_id=file.file_id, file_unique_id=file.file_unique_id, file_bytes=file.file_size)
    if message.text:
        # "/start@this_bot now" -> "start"
        name = message.text.split()[0].partition("@")[0] if message.text.strip() else ""
        return Command(**where, name=name[1:].lower()) if name.startswith("/") else Other(**where, kind="text")
    if message.media_group_id:
        return Other(**where, kind="album entry without a photo")
    # Somebody joined, a title changed: nothing was said to the bot.
    return None
