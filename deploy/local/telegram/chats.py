"""The chats: their messages, who blocked the bot, and a journal of everything that happened in them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .calls import JsonObject, bad_request
from .signals import Signal

_NAMES = ("Ada", "Grace", "Alan", "Barbara", "Edsger", "Katherine", "Donald", "Radia")
# Ids of supergroups start here and go down; other negative ids are plain groups.
_FIRST_SUPERGROUP = -1_000_000_000_000


@dataclass(frozen=True)
class Person:
    """A user as the Bot API describes one."""

    id: int
    first_name: str
    is_bot: bool = False
    username: str | None = None
    language_code: str | None = None

    def to_json(self) -> JsonObject:
        """Return a User object."""
        user: JsonObject = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        optional = {"username": self.username, "language_code": self.language_code}
        return user | {name: value for name, value in optional.items() if value}


def person_named(user_id: int, first_name: str | None = None, language_code: str | None = None) -> Person:
    """Return a person; without a name, one derived from the id."""
    name = first_name or _NAMES[abs(user_id) % len(_NAMES)]
    return Person(user_id, name, username=f"{name.lower()}_{abs(user_id)}", language_code=language_code or "en")


@dataclass(frozen=True)
class StoredMessage:
    """A message; `content` holds text, or a file with its caption, in the Bot API's fields."""

    message_id: int
    sender: Person
    content: JsonObject
    date: int = field(default_factory=lambda: int(time.time()))
    reply_to: int | None = None
    # The topic that it stands in, and its name elsewhere: an inline message, which a guest sent.
    thread_id: int | None = None
    inline_message_id: str | None = None
    reply_markup: JsonObject | None = None
    media_group_id: str | None = None
    edit_date: int | None = None

    def buttons(self) -> list[JsonObject]:
        """Return the inline buttons, row by row."""
        return [button for row in (self.reply_markup or {}).get("inline_keyboard", []) for button in row]


class Event(NamedTuple):
    """Something the chat page shows; numbered within the chat."""

    number: int
    name: str
    data: Any


@dataclass(frozen=True)
class Topic:
    """A topic of a group. Its id is that of the message which says that somebody made it."""

    name: str
    closed: bool = False


class Chat:
    """One conversation between the bot and a person or a group.

    In a chat of others, `strangers`, the bot is a guest at most.
    """

    def __init__(self, chat_id: int, message_ids: Iterator[int]) -> None:
        self.id = chat_id
        self.messages: dict[int, StoredMessage] = {}
        self.blocked = False
        self.migrated_to: int | None = None
        self.strangers = False
        self.topics: dict[int, Topic] = {}
        self.changed = Signal()
        self._message_ids = message_ids
        self._journal: list[Event] = []

    @property
    def version(self) -> int:
        """Return the number of the last event."""
        return len(self._journal)

    def to_json(self) -> JsonObject:
        """Return a Chat object."""
        if self.id > 0:
            person = person_named(self.id)
            return {"id": self.id, "type": "private", "first_name": person.first_name, "username": person.username}
        kind = "supergroup" if self.id < _FIRST_SUPERGROUP or self.topics else "group"
        forum = {"is_forum": True} if self.topics else {}
        return {"id": self.id, "type": kind, "title": f"Group {abs(self.id) % 1000}", **forum}

    def message_json(self, message: StoredMessage) -> JsonObject:
        """Return a Message object as the Bot API sends it, with the message it replies to."""
        shown = self._message_fields(message)
        # In a topic, what answers no message answers the one that says that the topic was made.
        answered = self.messages.get(message.reply_to or message.thread_id or 0)
        if answered and answered is not message:
            shown["reply_to_message"] = self._message_fields(answered)
        return shown

    def add(self, sender: Person, content: JsonObject, **details: Any) -> StoredMessage:
        """Add a message and show it."""
        message = StoredMessage(next(self._message_ids), sender, content, **details)
        self.messages[message.message_id] = message
        self.announce("message", self.message_json(message))
        return message

    def edit(self, message: StoredMessage, **changes: Any) -> StoredMessage:
        """Replace a message by its edited version and show it."""
        edited = replace(message, **changes)
        self.messages[message.message_id] = edited
        self.announce("edit", self.message_json(edited))
        return edited

    def remove(self, message_id: int) -> bool:
        """Delete a message; return whether there was one."""
        removed = self.messages.pop(message_id, None)
        if removed:
            self.announce("delete", {"message_id": message_id})
        return removed is not None

    def make_topic(self, person: Person, name: str) -> int:
        """Make a topic; return its id."""
        made = self.add(person, {"forum_topic_created": {"name": name, "icon_color": 7322096}})
        self.topics[made.message_id] = Topic(name)
        self.messages[made.message_id] = replace(made, thread_id=made.message_id)
        return made.message_id

    def change_topic(self, thread_id: int, *, closed: bool) -> None:
        """Close a topic, or open it again."""
        self.topics[thread_id] = replace(self.topics[thread_id], closed=closed)

    def delete_topic(self, thread_id: int) -> None:
        """Delete a topic with its messages."""
        del self.topics[thread_id]
        for message in [message for message in self.messages.values() if message.thread_id == thread_id]:
            self.remove(message.message_id)

    def open_topic(self, thread_id: int | None) -> int | None:
        """Return the topic if the bot may write there; raise 400 if not."""
        if thread_id is None:
            return None
        topic = self.topics.get(thread_id)
        if topic is None:
            raise bad_request("message thread not found")
        if topic.closed:
            raise bad_request("TOPIC_CLOSED")
        return thread_id

    def announce(self, name: str, data: Any) -> None:
        """Record an event and wake those waiting for one."""
        self._journal.append(Event(self.version + 1, name, data))
        self.changed.notify()

    def events_after(self, number: int) -> list[Event]:
        """Return the events after `number`."""
        return self._journal[number:]

    def clear(self) -> None:
        """Forget the messages; open pages reload. Message ids are not reused."""
        self.messages.clear()
        self.blocked = False
        self.migrated_to = None
        self.strangers = False
        self.topics.clear()
        self.announce("reload", {})

    def _message_fields(self, message: StoredMessage) -> JsonObject:
        fields: JsonObject = {
            "message_id": message.message_id, "date": message.date,
            "chat": self.to_json(), "from": message.sender.to_json(), **message.content,
        }  # fmt: skip
        optional = {
            "edit_date": message.edit_date, "media_group_id": message.media_group_id,
            "reply_markup": message.reply_markup, "message_thread_id": message.thread_id,
            "is_topic_message": True if message.thread_id else None,
        }  # fmt: skip
        return fields | {name: value for name, value in optional.items() if value is not None}


class Chats:
    """All chats. Every id is a chat, even if nobody has written there yet."""

    def __init__(self) -> None:
        self._chats: dict[int, Chat] = {}
        # Telegram numbers the messages of all private chats of a bot together, and those of each group separately.
        self._private_message_ids = itertools.count(1)

    def __iter__(self) -> Iterator[Chat]:
        return iter(list(self._chats.values()))

    def get(self, chat_id: int) -> Chat:
        """Return the chat with this id."""
        if chat_id not in self._chats:
            ids = self._private_message_ids if chat_id > 0 else itertools.count(1)
            self._chats[chat_id] = Chat(chat_id, ids)
        return self._chats[chat_id]

    def migrate(self, chat_id: int) -> int:
        """Turn a group into a supergroup; return its new id. The messages stay in the old one."""
        new_id = _FIRST_SUPERGROUP + chat_id
        self.get(chat_id).migrated_to = new_id
        return new_id
