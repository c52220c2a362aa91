"""In a group, the bot answers only what is addressed to it."""

from itertools import count
from typing import Any

import httpx
import pytest

from botsite.bot import replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramControl, TelegramUser
from detection import sentences
from tests.support import new_updates

_groups = count(-9000, -1)
STICKER = new_updates.FILE | {"width": 1, "height": 1, "type": "regular", "is_animated": False, "is_video": False}
BOT = "object_detection_bot"


@pytest.fixture
def group(stack: LocalStack) -> TelegramUser:
    return TelegramUser(stack.telegram_url, next(_groups))


def post(stack: LocalStack, group: TelegramUser, **content: Any) -> int:
    """Send a message in a group, and wait until it is answered."""
    update = new_updates.with_message(group.chat_id, **content)
    update["message"]["chat"] = {"id": group.chat_id, "type": "group", "title": "x"}
    headers = {"X-Telegram-Bot-Api-Secret-Token": stack.env["TELEGRAM_WEBHOOK_SECRET"]}
    url = f"{next(iter(stack.sites.values()))}/telegram/webhook"
    return httpx.post(url, json=update, headers=headers, timeout=60).status_code


def from_the_bot(stack: LocalStack) -> dict[str, Any]:
    number = int(stack.env["TELEGRAM_TOKEN"].partition(":")[0])
    message: dict[str, Any] = new_updates.with_message(1, text="x")["message"]
    return message | {"from": {"id": number, "is_bot": True, "first_name": "Bot"}}


@pytest.mark.parametrize(
    "content",
    [
        {"text": "good morning"},
        {"text": "good morning @somebody"},
        {"text": "/help@other_bot"},
        {"text": "/weather"},
        {
            "sticker": {
                **new_updates.FILE,
                "width": 1,
                "height": 1,
                "type": "regular",
                "is_animated": False,
                "is_video": False,
            }
        },
        {"video": {**new_updates.FILE, "width": 1, "height": 1, "duration": 1}},
        {"document": {**new_updates.FILE, "mime_type": "application/pdf"}},
        {"dice": {"emoji": "x", "value": 1}},
        {"text": "thanks", "reply_to_message": new_updates.with_message(1, text="x")["message"]},
    ],
    ids=lambda content: "-".join(map(str, content.values()))[:20],
)
def test_messages_for_others_are_ignored(stack: LocalStack, group: TelegramUser, content: dict[str, Any]) -> None:
    assert post(stack, group, **content) == 200
    assert group.messages() == []


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("/help", replies.HELP),
        (f"/help@{BOT}", replies.HELP),
        (f"/start@{BOT.upper()} x", replies.START),
        (f"/weather@{BOT}", replies.UNKNOWN_COMMAND),
        (f"what do you do, @{BOT}?", replies.NO_PHOTO["text"]),
    ],
)
def test_messages_to_bot_are_answered(stack: LocalStack, group: TelegramUser, text: str, reply: str) -> None:
    assert post(stack, group, text=text) == 200
    assert [message.text for message in group.messages()] == [reply]


def test_file_captioned_with_bots_name_is_answered(stack: LocalStack, group: TelegramUser) -> None:
    pdf = new_updates.FILE | {"mime_type": "application/pdf"}
    assert post(stack, group, document=pdf, caption=f"@{BOT}") == 200
    assert [message.text for message in group.messages()] == [sentences.NO_IMAGE]


def test_reply_to_bot_is_answered(stack: LocalStack, group: TelegramUser) -> None:
    assert post(stack, group, text="thanks", reply_to_message=from_the_bot(stack)) == 200
    assert [message.text for message in group.messages()] == [replies.NO_PHOTO["text"]]


def test_photo_in_group_is_answered(stack: LocalStack, group: TelegramUser, known_file: FileReference) -> None:
    size = new_updates.with_photo(1, known_file)["message"]["photo"]
    assert post(stack, group, photo=size) == 200
    assert group.wait_for(lambda message: message.from_bot).photo


def test_bots_name_is_fetched_once_and_retried_on_failure(stack: LocalStack, group: TelegramUser) -> None:
    control = TelegramControl(stack.telegram_url)
    asked = len(control.calls("getMe"))
    for _ in range(12):
        post(stack, group, text=f"/help@{BOT}x")
    # Once by each of the site's two processes, at most.
    assert len(control.calls("getMe")) - asked <= 2
