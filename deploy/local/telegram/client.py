"""Be a person who talks to the bot, or the one who makes Telegram misbehave: for the demo and for tests.

Every call opens and closes its own connection, so that nothing is left open and any thread may use a client.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from deploy.local.processes import PATIENCE_SECONDS

# One long poll; the loops below poll again until their own deadline.
_POLL_SECONDS = 20.0
# The server speaks plain HTTP, and a context that loads no certificates is a hundred times cheaper to make.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class TelegramClientError(Exception):
    """The fake Telegram refused a request; the text is its reason."""


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
    reaction: str | None


@dataclass(frozen=True)
class Answer:
    """The bot's answer to a pressed button: a notice, or an alert to be closed; the text may be empty."""

    text: str
    show_alert: bool


@dataclass(frozen=True)
class BotCall:
    """A call of the bot, a delivery (`webhook`) or a download (`file`); status 0 where no answer came.

    `reply_to` is the message that a send names as the one it answers, whether or not that is there.
    """

    number: int
    method: str
    chat_id: int | None
    time: float
    status: int
    duration_ms: float
    detail: str
    reply_to: int | None


@dataclass(frozen=True)
class Delivery:
    """How an update fared: the webhook's statuses in order, 0 where no answer came."""

    update_id: int | None
    statuses: tuple[int, ...]
    settled: bool


class TelegramUser:
    """A person in one chat: their own with the bot, or a group where the id is negative."""

    def __init__(
        self,
        base_url: str,
        chat_id: int,
        user_id: int | None = None,
        first_name: str | None = None,
        language_code: str | None = None,
    ) -> None:
        self.chat_id = chat_id
        self._server = _Server(base_url)
        self._chat = f"/chats/{chat_id}"
        person = {"user_id": user_id, "first_name": first_name, "language_code": language_code}
        self._person = {name: str(value) for name, value in person.items() if value is not None}

    def send_text(self, text: str, reply_to: int | None = None) -> int:
        """Send a text; return its message_id."""
        return self._write({"text": text, "reply_to": reply_to})[0]

    def send_photo(self, photo: bytes, caption: str | None = None, reply_to: int | None = None) -> int:
        """Send a picture in any format as a photo, which the bot gets re-encoded; return its message_id."""
        file = ("photo", ("photo.jpg", photo, "image/jpeg"))
        return self._write({"caption": caption, "reply_to": reply_to}, [file])[0]

    def send_album(self, photos: Sequence[bytes], caption: str | None = None) -> list[int]:
        """Send 2 to 10 photos as an album with its caption on the first; return their message_ids."""
        files = [("photo", (f"photo{number}.jpg", photo, "image/jpeg")) for number, photo in enumerate(photos)]
        return self._write({"caption": caption}, files)

    def send_document(
        self, document: bytes, file_name: str, mime_type: str = "application/octet-stream", caption: str | None = None
    ) -> int:
        """Send a file as it is; return its message_id."""
        return self._write({"caption": caption}, [("document", (file_name, document, mime_type))])[0]

    def send_media(self, kind: str) -> int:
        """Send a sticker, video, voice or animation of no particular content; return its message_id."""
        return self._write({"kind": kind})[0]

    def edit_text(self, message_id: int, text: str) -> None:
        """Change the text or the caption of one's own message."""
        self._server.request("PUT", f"{self._chat}/messages/{message_id}", data={"text": text})

    def delete(self, message_id: int) -> None:
        """Delete a message, of which the bot is told nothing."""
        self._server.request("DELETE", f"{self._chat}/messages/{message_id}")

    def press(self, message_id: int, data: str) -> str:
        """Press the button with this data; return the id of the callback query."""
        fields = {"message_id": str(message_id), "data": data, **self._person}
        return str(self._server.request("POST", f"{self._chat}/presses", data=fields)["callback_query_id"])

    def block(self) -> None:
        """Block the bot: from now on it gets 403."""
        self._server.request("POST", f"{self._chat}/block", data={"blocked": "true", **self._person})

    def unblock(self) -> None:
        """Let the bot write again."""
        self._server.request("POST", f"{self._chat}/block", data={"blocked": "false", **self._person})

    def messages(self) -> list[Message]:
        """Return what stands in the chat, oldest first."""
        return [_message(fields) for fields in self._server.request("GET", self._chat)["messages"]]

    def message(self, message_id: int) -> Message | None:
        """Return one message, None when it is not (or no longer) there."""
        return next((message for message in self.messages() if message.message_id == message_id), None)

    def wait_for(self, condition: Callable[[Message], bool], timeout_seconds: float = PATIENCE_SECONDS) -> Message:
        """Return the first message for which the condition holds, as soon as there is one; raise TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        since, wait = -1, 0.0
        while True:
            state = self._server.request("GET", self._chat, wait=wait, params={"since": since})
            for message in map(_message, state["messages"]):
                if condition(message):
                    return message
            wait = min(deadline - time.monotonic(), _POLL_SECONDS)
            if wait <= 0:
                raise TimeoutError(
                    f"chat {self.chat_id}: no such message within {timeout_seconds} s; there are {self.messages()}"
                )
            since = state["version"]

    def wait_for_reply(
        self,
        to_message_id: int,
        timeout_seconds: float = PATIENCE_SECONDS,
        condition: Callable[[Message], bool] = lambda message: True,
    ) -> Message:
        """Return the bot's reply to a message once it is there and the condition holds; raise TimeoutError.

        A bot may first reply with a status and later edit it: wait for the photo with
        `condition=lambda message: message.photo is not None`.
        """
        return self.wait_for(
            lambda message: message.from_bot and message.reply_to == to_message_id and condition(message),
            timeout_seconds,
        )

    def wait_for_answer(self, callback_query_id: str, timeout_seconds: float = PATIENCE_SECONDS) -> Answer:
        """Return the bot's answer to a pressed button; raise TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while (wait := min(deadline - time.monotonic(), _POLL_SECONDS)) > 0:
            path = f"{self._chat}/presses/{callback_query_id}"
            if answer := self._server.request("GET", path, wait=wait)["answer"]:
                return Answer(**answer)
        raise TimeoutError(f"chat {self.chat_id}: no answer to the pressed button within {timeout_seconds} s")

    def download(self, message: Message) -> bytes:
        """Return the bytes of a message's photo or document."""
        file = message.photo or message.document
        if file is None:
            raise ValueError(f"message {message.message_id} holds no photo or document")
        return self._server.fetch("GET", f"/files/{quote(file.file_id)}").content

    def _write(self, fields: dict[str, Any], files: list[Any] | None = None) -> list[int]:
        given = {name: str(value) for name, value in fields.items() if value is not None}
        answer = self._server.request("POST", f"{self._chat}/messages", data=given | self._person, files=files)
        return [message["message_id"] for message in answer["messages"]]


class TelegramControl:
    """Faults, the log of the bot's calls, settings and deliveries of the server."""

    def __init__(self, base_url: str) -> None:
        self._server = _Server(base_url)

    def fault(self, method: str, effect: str, **details: Any) -> int:
        """Add a fault rule and return its id; `details` are chat_id, times, seconds, retry_after, description.

        `method` is a Bot API method, `*` for any, `webhook` or `file`; faults.py lists the effects of each.
        A rule hits once unless `times` says otherwise; None means until it is cleared.
        """
        rule = {"method": method, "effect": effect, **details}
        return int(self._server.request("POST", "/control/rules", json=rule)["id"])

    def faults_fired(self, rule_id: int) -> int:
        """Return how many calls a rule has hit."""
        rules = self._server.request("GET", "/control/rules")["rules"]
        return next(len(rule["fired"]) for rule in rules if rule["id"] == rule_id)

    def clear_faults(self) -> None:
        """Let everything work again."""
        self._server.request("DELETE", "/control/rules")

    def calls(self, method: str | None = None, chat_id: int | None = None, after: int = 0) -> list[BotCall]:
        """Return the calls so far, later than number `after`, of one method and one chat where given."""
        return self._calls(method, chat_id, after, count=0, wait=0)

    def wait_for_calls(
        self,
        method: str,
        count: int = 1,
        chat_id: int | None = None,
        after: int = 0,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> list[BotCall]:
        """Return the calls once there are `count` of them; raise TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while (wait := min(deadline - time.monotonic(), _POLL_SECONDS)) > 0:
            calls = self._calls(method, chat_id, after, count, wait)
            if len(calls) >= count:
                return calls
        raise TimeoutError(f"{method} was not called {count} times within {timeout_seconds} s")

    def webhook(self) -> dict[str, Any]:
        """Return what getWebhookInfo returns."""
        return self._server.request("GET", "/control/webhook")

    def wait_until_delivered(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Return once no update is pending; raise TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while (wait := min(deadline - time.monotonic(), _POLL_SECONDS)) > 0:
            if self._server.request("GET", "/control/webhook", wait=wait)["pending_update_count"] == 0:
                return
        raise TimeoutError(f"updates are still pending after {timeout_seconds} s: {self.webhook()}")

    def updates(self, chat_id: int | None = None) -> list[Delivery]:
        """Return the latest updates, oldest first, and how their delivery went."""
        params = {} if chat_id is None else {"chat_id": chat_id}
        listed = self._server.request("GET", "/control/updates", params=params)["updates"]
        return [_delivery(fields) for fields in listed]

    def inject(self, body: bytes, timeout_seconds: float = 0) -> Delivery:
        """Queue any body as an update, well-formed or not; return how it went within the time given."""
        return _delivery(self._server.request("POST", "/control/updates", wait=timeout_seconds, content=body))

    def deliver_again(self, update_id: int, times: int = 1) -> list[int]:
        """Post so many copies of an update at once; return the webhook's statuses."""
        path = f"/control/updates/{update_id}/deliveries"
        return list(self._server.request("POST", path, params={"times": times})["statuses"])

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change rate_limits, time_scale or webhook_timeout_seconds; return all settings."""
        return self._server.request("POST", "/control/settings", json=settings)

    def revoke(self, token: str) -> None:
        """Give the bot this token instead of its own, as @BotFather does on /revoke."""
        self._server.request("POST", "/control/token", json={"token": token})

    def migrate(self, chat_id: int) -> int:
        """Make a supergroup of a plain group, as an admin of it does; return its new id."""
        return int(self._server.request("POST", f"/control/chats/{chat_id}/migration")["chat_id"])

    def reset(self, setup: bool = False) -> None:
        """Forget everything but the webhook and the commands, with `setup` these too; all numbers go on."""
        self._server.request("POST", "/control/reset", params={"setup": 1} if setup else {})

    def _calls(self, method: str | None, chat_id: int | None, after: int, count: int, wait: float) -> list[BotCall]:
        params = {"method": method, "chat_id": chat_id, "after": after, "count": count}
        given = {name: value for name, value in params.items() if value is not None}
        calls = self._server.request("GET", "/control/calls", wait=wait, params=given)["calls"]
        return [BotCall(**call) for call in calls]


class _Server:
    """Requests to the fake Telegram, with its refusals as exceptions."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    def request(self, method: str, path: str, wait: float = 0, **details: Any) -> dict[str, Any]:
        """Return the JSON object that a request is answered with; the server may take `wait` seconds for it."""
        if wait > 0:
            details["params"] = {**details.get("params", {}), "wait": wait}
        answer: dict[str, Any] = self.fetch(method, path, wait, **details).json()
        return answer

    def fetch(self, method: str, path: str, wait: float = 0, **details: Any) -> httpx.Response:
        """Return the answer to a request; raise TelegramClientError when it is a refusal."""
        url, timeout = self._base_url + path, wait + PATIENCE_SECONDS
        response = httpx.request(method, url, timeout=timeout, verify=_NO_CERTIFICATES, trust_env=False, **details)
        if response.is_error:
            raise TelegramClientError(f"{method} {path}: {response.status_code} {response.text}")
        return response


def _message(fields: dict[str, Any]) -> Message:
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
        reaction=fields.get("reaction"),
    )


def _file(fields: dict[str, Any]) -> FileReference:
    return FileReference(**{name: fields[name] for name in FileReference.__dataclass_fields__ if name in fields})


def _delivery(fields: dict[str, Any]) -> Delivery:
    return Delivery(fields["update_id"], tuple(fields["statuses"]), fields["settled"])
