"""Make the updates of a load test: photos that Telegram has already, in messages that it never numbered."""

import secrets
import time
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

from botsite.bot import bot_token, receive, updates
from deploy.loadtest.records import Photo

# Telegram counts messages in 32 bits and from 1: no real message has an id in the upper half. The bot replies to one
# that is not there by sending its answer without a reply.
_FIRST_ID, _LAST_ID = 2**30, 2**31 - 1
# Telegram numbers supergroups from here down; other negative ids are plain groups.
_FIRST_SUPERGROUP = -1_000_000_000_000
# Whoever sends in a group, where a person has another id than the chat.
_MEMBER_ID = 1

Sizes = Sequence[Mapping[str, Any]]


def photos(number: int, chat_ids: Sequence[int], files: Sequence[Sizes]) -> list[Photo]:
    """Return so many photos, whose senders and pictures take turns. `files` hold each photo's PhotoSize objects."""
    first_id = _FIRST_ID + secrets.randbelow(_LAST_ID - _FIRST_ID - number)
    turns = islice(zip(cycle(chat_ids), cycle(files), strict=False), number)
    return [_photo(count, chat_id, first_id + count, sizes) for count, (chat_id, sizes) in enumerate(turns)]


def _photo(number: int, chat_id: int, message_id: int, sizes: Sizes) -> Photo:
    update = _update(chat_id, message_id, sizes)
    read = updates.read(update)
    assert isinstance(read, updates.Photo)
    return Photo(number, chat_id, message_id, receive.prediction_id(bot_token.bot_id(), read), update)


def _update(chat_id: int, message_id: int, sizes: Sizes) -> dict[str, Any]:
    kind = "private" if chat_id > 0 else "supergroup" if chat_id < _FIRST_SUPERGROUP else "group"
    name = {"first_name": "Load test"} if chat_id > 0 else {"title": "Load test"}
    message = {
        "message_id": message_id,
        "date": int(time.time()),
        "chat": {"id": chat_id, "type": kind, **name},
        "from": {"id": chat_id if chat_id > 0 else _MEMBER_ID, "is_bot": False, "first_name": "Load test"},
        "photo": [dict(size) for size in sizes],
    }
    return {"update_id": message_id, "message": message}
