"""Make updates as Telegram sends them, for tests that post them themselves."""

from itertools import count
from typing import Any

from deploy.local.telegram.client import FileReference

_numbers = count(500_000)
# A file that Telegram does not have.
FILE = {"file_id": "gone", "file_unique_id": "gone"}


def with_message(chat_id: int, **content: Any) -> dict[str, Any]:
    """Return an update whose message has this content and a message_id of its own."""
    person = {"id": abs(chat_id), "is_bot": False, "first_name": "Ada"}
    chat = {"id": chat_id, "type": "private", "first_name": "Ada"}
    number = next(_numbers)
    message = {"message_id": number, "date": 1_790_000_000, "chat": chat, "from": person}
    return {"update_id": number, "message": message | content}


def with_photo(chat_id: int, file: FileReference, **content: Any) -> dict[str, Any]:
    """Return an update with a photo that Telegram already has."""
    size = {"file_id": file.file_id, "file_unique_id": file.file_unique_id, "width": file.width, "height": file.height}
    return with_message(chat_id, photo=[size], **content)
