"""Know what each of the bot's messages claims to answer, even if that is not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class _Album:
    """An album of the bot's: its messages in order, and the one that it replies to."""

    messages: Sequence[int]
    replies_to: int


class Claims:
    """The claims of all chats.

    Telegram lets an album reply to one message only. If that is a photo of a person's album, the bot's pictures answer
    the photos from there on in their order, leaving out those that have an answer of their own, whenever that came.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._single: dict[tuple[int, int], int] = {}
        self._albums: dict[tuple[int, int], _Album] = {}
        self._of_people: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        self._group_of: dict[tuple[int, int], str] = {}

    def note_photo(self, chat_id: int, group: str, message_id: int) -> None:
        """Note a photo of a person's album."""
        self._of_people[chat_id, group].append(message_id)
        self._group_of[chat_id, message_id] = group

    def note(self, chat_id: int, sent: Sequence[int], replies_to: int) -> None:
        """Note a message of the bot's, or an album."""
        if len(sent) == 1:
            self._single[chat_id, sent[0]] = replies_to
            return
        for message_id in sent:
            self._albums[chat_id, message_id] = _Album(sent, replies_to)

    def forget(self, chat_id: int, message_id: int) -> None:
        """Note that a message is deleted: it answers nothing."""
        self._single.pop((chat_id, message_id), None)

    def of(self, chat_id: int, message_id: int) -> int | None:
        """Return what a message of the bot's claims to answer."""
        album = self._albums.get((chat_id, message_id))
        if album is None:
            return self._single.get((chat_id, message_id))
        index, open_ = album.messages.index(message_id), self._open(chat_id, album.replies_to)
        return open_[index] if index < len(open_) else album.replies_to

    def _open(self, chat_id: int, first: int) -> list[int]:
        """Return the photos of a person's album from one on that no message answers alone."""
        group = self._group_of.get((chat_id, first))
        if group is None:
            return [first]
        alone = {answered for (chat, _), answered in self._single.items() if chat == chat_id}
        return [first, *(each for each in self._of_people[chat_id, group] if each > first and each not in alone)]
