"""What a person sees in a chat, and what a test sees of the bot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# The methods by which a photo can be answered.
ANSWERING = ("sendPhoto", "sendDocument", "sendMediaGroup", "sendMessage", "editMessageMedia", "editMessageText")


@dataclass(frozen=True)
class FileReference:
    """A file of a message; for a photo its largest size."""

    file_id: str
    file_unique_id: str
    file_size: int
    width: int | None = None
    height: int | None = None
    file_name: str | None = None
    mime_type: str | None = None


@dataclass(frozen=True)
class Button:
    """An inline button; `data` is what the bot gets when it is pressed."""

    text: str
    data: str | None
    url: str | None


@dataclass(frozen=True)
class Message:
    """A message as a person sees it."""

    message_id: int
    chat_id: int
    from_bot: bool
    date: int
    text: str | None
    caption: str | None
    photo: FileReference | None
    document: FileReference | None
    buttons: tuple[Button, ...]
    reply_to: int | None
    edited: bool
    media_group_id: str | None
    # What a picture of an album answers, if the album replies to the first photo of another.
    in_reply_to: int | None
    thread_id: int | None = None
    # The times that are shown in the reader's zone: the words they stand in place of, and Unix seconds.
    times: tuple[tuple[str, int], ...] = ()
    # Whether its photo is hidden until somebody taps it.
    spoiler: bool = False

    def answers(self, message_id: int) -> bool:
        """Return whether it is the bot's answer to that message."""
        return self.from_bot and (self.in_reply_to or self.reply_to) == message_id and not self.tells_of_wait

    @property
    def tells_of_wait(self) -> bool:
        """Return whether the bot only tells how the wait goes: an answer will take the place of this message."""
        waits = any((button.data or "").startswith("cancel:") for button in self.buttons)
        return waits or self.text in ("I'm looking at your photo...", "I'm looking at your photos...")


@dataclass(frozen=True)
class CallbackAnswer:
    """The bot's answer to a pressed button: a notice or, with `show_alert`, an alert; the text may be empty."""

    text: str
    show_alert: bool


@dataclass(frozen=True)
class BotCall:
    """A call by the bot, a delivery (`webhook`) or a download (`file`); status 0 if no answer came.

    `reply_to` is the message that a send or an edit claims to answer, even if there is no such message; None for a word
    on how the wait goes. `answers` are all that it answers: an album that replies to a photo of another
    answers several. `thread_id` is the topic that the call names.
    """

    number: int
    method: str
    chat_id: int | None
    time: float
    status: int
    duration_ms: float
    detail: str
    reply_to: int | None
    answers: tuple[int, ...]
    thread_id: int | None


@dataclass(frozen=True)
class Delivery:
    """What became of an update: the webhook's statuses in order, 0 where no answer came."""

    update_id: int | None
    statuses: tuple[int, ...]
    settled: bool


def read_message(fields: dict[str, Any]) -> Message:
    """Read a message from the server's JSON."""
    rows = fields.get("reply_markup", {}).get("inline_keyboard", [])
    return Message(
        message_id=fields["message_id"],
        chat_id=fields["chat"]["id"],
        from_bot=fields["from"]["is_bot"],
        date=fields["date"],
        text=fields.get("text"),
        caption=fields.get("caption"),
        photo=_file(fields["photo"][-1]) if "photo" in fields else None,
        document=_file(fields["document"]) if "document" in fields else None,
        buttons=tuple(
            Button(button["text"], button.get("callback_data"), button.get("url")) for row in rows for button in row
        ),
        reply_to=fields.get("reply_to_message", {}).get("message_id"),
        edited="edit_date" in fields,
        media_group_id=fields.get("media_group_id"),
        in_reply_to=fields.get("in_reply_to"),
        thread_id=fields.get("message_thread_id"),
        times=tuple(_times(fields)),
        spoiler=fields.get("has_media_spoiler", False),
    )


def _times(fields: dict[str, Any]) -> Iterator[tuple[str, int]]:
    units = str(fields.get("text") or fields.get("caption") or "").encode("utf-16-le", "surrogatepass")
    for entity in fields.get("entities") or fields.get("caption_entities") or ():
        if entity["type"] == "date_time":
            start = 2 * entity["offset"]
            yield units[start : start + 2 * entity["length"]].decode("utf-16-le"), entity["unix_time"]


def read_delivery(fields: dict[str, Any]) -> Delivery:
    """Read what became of an update from the server's JSON."""
    return Delivery(fields["update_id"], tuple(fields["statuses"]), fields["settled"])


def _file(fields: dict[str, Any]) -> FileReference:
    return FileReference(**{name: fields[name] for name in FileReference.__dataclass_fields__ if name in fields})
