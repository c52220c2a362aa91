"""Be a person who talks to the bot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from .messages import CallbackAnswer, Message, read_message
from .requests import PATIENCE_SECONDS, Server, polls


class TelegramUser:
    """A person in one chat: the private one with the bot, or a group if the id is negative."""

    def __init__(
        self,
        base_url: str,
        chat_id: int,
        user_id: int | None = None,
        first_name: str | None = None,
        language_code: str | None = None,
        thread_id: int | None = None,
    ) -> None:
        """Be somebody who writes in this chat; in a topic of it, if `thread_id` is given."""
        self.chat_id = chat_id
        self._server = Server(base_url)
        self._chat = f"/chats/{chat_id}"
        person = {"user_id": user_id, "first_name": first_name, "language_code": language_code}
        self._thread_id = thread_id
        self._person = {name: str(value) for name, value in person.items() if value is not None}

    def send_text(self, text: str, reply_to: int | None = None) -> int:
        """Send a text; return its message_id."""
        return self._write({"text": text, "reply_to": reply_to})[0]

    def send_photo(
        self,
        photo: bytes,
        caption: str | None = None,
        reply_to: int | None = None,
        album: str | None = None,
        *,
        high_definition: bool = False,
        spoiler: bool = False,
    ) -> int:
        """Send a picture in any format as a photo, which the bot gets as JPEG; return its message_id.

        With `album`, the media_group_id of one, it is a late photo of that.
        """
        file = ("photo", ("photo.jpg", photo, "image/jpeg"))
        fields = {"caption": caption, "reply_to": reply_to, "album": album}
        flags = {"high_definition": high_definition, "spoiler": spoiler}
        return self._write(fields | {name: "true" for name, on in flags.items() if on}, [file])[0]

    def send_album(
        self, photos: Sequence[bytes], caption: str | None = None, *, kind: str = "photo", gap_seconds: float = 0.0
    ) -> list[int]:
        """Send 2 to 10 photos as an album, with the caption on the first; return their message_ids.

        `kind` may be "document"; `gap_seconds` pass between one and the next.
        """
        files = [(kind, (f"photo{number}.jpg", photo, "image/jpeg")) for number, photo in enumerate(photos)]
        return self._write({"caption": caption, "gap_seconds": gap_seconds}, files)

    def send_document(
        self,
        document: bytes,
        file_name: str,
        mime_type: str = "application/octet-stream",
        caption: str | None = None,
        reply_to: int | None = None,
    ) -> int:
        """Send a file unchanged; return its message_id."""
        file = ("document", (file_name, document, mime_type))
        return self._write({"caption": caption, "reply_to": reply_to}, [file])[0]

    def send_clip(
        self, clip: bytes, kind: str = "animation", caption: str | None = None, album: str | None = None
    ) -> int:
        """Send an MP4 as an animation, a "video", or a round video ("video_note"); return its message_id."""
        return self._write({"caption": caption, "album": album}, [(kind, ("clip.mp4", clip, "video/mp4"))])[0]

    def send_media(self, kind: str) -> int:
        """Send a sticker, video, voice or animation of no particular content; return its message_id."""
        return self._write({"kind": kind})[0]

    def edit_text(self, message_id: int, text: str) -> None:
        """Change the text or the caption of a message that this person sent."""
        self._server.request("PUT", f"{self._chat}/messages/{message_id}", data={"text": text})

    def delete(self, message_id: int) -> None:
        """Delete a message; the bot is not told."""
        self._server.request("DELETE", f"{self._chat}/messages/{message_id}")

    def press(self, message_id: int, data: str, *, altered: bool = False) -> str:
        """Press the button with this data; return the callback query's id. An altered app sends any data."""
        fields = {"message_id": str(message_id), "data": data, "altered": str(altered).lower(), **self._person}
        return str(self._server.request("POST", f"{self._chat}/presses", data=fields)["callback_query_id"])

    def block(self) -> None:
        """Block the bot: from now on it gets 403."""
        self._server.request("POST", f"{self._chat}/block", data={"blocked": "true", **self._person})

    def unblock(self) -> None:
        """Let the bot write again."""
        self._server.request("POST", f"{self._chat}/block", data={"blocked": "false", **self._person})

    def make_topic(self, name: str) -> int:
        """Make a topic in the group; return its id."""
        made = self._server.request("POST", f"{self._chat}/topics", data={"name": name, **self._person})
        return int(made["thread_id"])

    def close_topic(self, thread_id: int) -> None:
        """Close a topic: from now on the bot can't write there."""
        self._server.request("PUT", f"{self._chat}/topics/{thread_id}", data={"closed": "true"})

    def delete_topic(self, thread_id: int) -> None:
        """Delete a topic with its messages."""
        self._server.request("DELETE", f"{self._chat}/topics/{thread_id}")

    def leave_bot_out(self) -> None:
        """Make it a chat of others: the bot hears only what calls it, and answers as a guest."""
        self._server.request("POST", f"{self._chat}/strangers")

    def messages(self) -> list[Message]:
        """Return the messages of the chat, oldest first."""
        return [read_message(fields) for fields in self._server.request("GET", self._chat)["messages"]]

    def message(self, message_id: int) -> Message | None:
        """Return one message, or None if it was never sent or is deleted."""
        return next((message for message in self.messages() if message.message_id == message_id), None)

    def wait_for(self, condition: Callable[[Message], bool], timeout_seconds: float = PATIENCE_SECONDS) -> Message:
        """Wait for a message that meets the condition and return it; raise TimeoutError."""
        since = -1
        for wait in polls(timeout_seconds):
            state = self._server.request("GET", self._chat, wait=wait, params={"since": since})
            for message in map(read_message, state["messages"]):
                if condition(message):
                    return message
            since = state["version"]
        raise TimeoutError(
            f"chat {self.chat_id}: no such message within {timeout_seconds} s; there are {self.messages()}"
        )

    def wait_for_reply(
        self,
        to_message_id: int,
        timeout_seconds: float = PATIENCE_SECONDS,
        condition: Callable[[Message], bool] = lambda message: True,
    ) -> Message:
        """Wait for the bot's answer to a message that meets the condition and return it; raise TimeoutError."""
        return self.wait_for(
            lambda message: message.answers(to_message_id) and condition(message),
            timeout_seconds,
        )

    def wait_for_answer(self, callback_query_id: str, timeout_seconds: float = PATIENCE_SECONDS) -> CallbackAnswer:
        """Wait for the bot's answer to a pressed button and return it; raise TimeoutError."""
        for wait in polls(timeout_seconds):
            path = f"{self._chat}/presses/{callback_query_id}"
            if answer := self._server.request("GET", path, wait=wait)["answer"]:
                return CallbackAnswer(**answer)
        raise TimeoutError(f"chat {self.chat_id}: no answer to the pressed button within {timeout_seconds} s")

    def download(self, message: Message) -> bytes:
        """Return the bytes of a message's photo or document."""
        file = message.photo or message.document
        if file is None:
            raise ValueError(f"message {message.message_id} holds no photo or document")
        return self._server.fetch("GET", f"/files/{quote(file.file_id)}").content

    def _write(self, fields: dict[str, Any], files: list[Any] | None = None) -> list[int]:
        fields = {**fields, "thread_id": self._thread_id}
        given = {name: str(value) for name, value in fields.items() if value is not None}
        answer = self._server.request("POST", f"{self._chat}/messages", data=given | self._person, files=files)
        return [message["message_id"] for message in answer["messages"]]
