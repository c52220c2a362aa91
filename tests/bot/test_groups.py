"""In a group, the bot answers only what is addressed to it."""

import asyncio
import time
from itertools import count
from typing import Any

import httpx
import pytest

from botsite import rate_limit
from botsite.bot.telegram import edits
from botsite.bot.words import replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramControl, TelegramUser
from detection.record import queries
from detection.record.sentences import Code
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
        ("/help", replies.COMMANDS["help"]),
        (f"/help@{BOT}", replies.COMMANDS["help"]),
        ("/privacy", replies.COMMANDS["privacy"]),
        (f"/start@{BOT.upper()} x", replies.START),
        (f"/weather@{BOT}", replies.UNKNOWN_COMMAND),
        (f"what do you do, @{BOT}?", replies.HOW_TO_ASK),
        (f"@{BOT} hello", replies.HOW_TO_ASK),
    ],
)
def test_messages_to_bot_are_answered(stack: LocalStack, group: TelegramUser, text: str, reply: str) -> None:
    assert post(stack, group, text=text) == 200
    assert [message.text for message in group.messages()] == [reply]


def test_file_captioned_with_bots_name_is_answered(stack: LocalStack, group: TelegramUser) -> None:
    pdf = new_updates.FILE | {"mime_type": "application/pdf"}
    assert post(stack, group, document=pdf, caption=f"@{BOT}") == 200
    assert [message.text for message in group.messages()] == [Code.NO_IMAGE.value]


@pytest.mark.parametrize(
    "content", [{"text": "wow nice"}, {"sticker": STICKER}, {"text": "hey @somebody"}], ids=["text", "sticker", "name"]
)
@pytest.mark.parametrize("own_photo", [False, True])
def test_comment_on_what_bot_said_is_left_alone(
    stack: LocalStack, group: TelegramUser, known_file: FileReference, content: dict[str, Any], own_photo: bool
) -> None:
    photo = {"photo": new_updates.with_photo(1, known_file)["message"]["photo"]} if own_photo else {}
    assert post(stack, group, **content, reply_to_message=from_the_bot(stack) | photo) == 200
    assert (group.messages(), queries.latest_of_chat(group.chat_id)) == ([], [])


@pytest.mark.parametrize("text", ["is it?", "ما هذا؟", f"@{BOT}"])
def test_question_to_bot_is_answered(stack: LocalStack, group: TelegramUser, text: str) -> None:
    assert post(stack, group, text=text, reply_to_message=from_the_bot(stack)) == 200
    assert [message.text for message in group.messages()] == [replies.HOW_TO_ASK]


def test_long_answers_are_a_link_into_the_private_chat(stack: LocalStack, group: TelegramUser) -> None:
    (button,) = group.wait_for_reply(group.send_text("/help")).buttons
    assert button.url == f"https://t.me/{BOT}?start=help"
    private = TelegramUser(stack.telegram_url, 9_000_123)
    assert private.wait_for_reply(private.send_text("/start help")).text == replies.HELP
    assert private.wait_for_reply(private.send_text("/start something")).text == replies.START


@pytest.mark.parametrize(
    "caption", [f"@{BOT}", f"please, @{BOT.title()}, conf 0.3", f"/what@{BOT}", f"/any@{BOT} conf 0.3"]
)
def test_photo_whose_caption_calls_bot_is_answered(group: TelegramUser, photo: bytes, caption: str) -> None:
    answer = group.wait_for_reply(group.send_photo(photo, caption))
    assert answer.photo or answer.text
    assert "don't know" not in f"{answer.caption}{answer.text}"


def test_photo_in_reply_to_bot_is_answered(group: TelegramUser, photo: bytes) -> None:
    said = group.wait_for_reply(group.send_text("/help"))
    assert group.wait_for_reply(group.send_photo(photo, reply_to=said.message_id)).photo


@pytest.mark.parametrize("caption", [None, "@somebody", f"x@{BOT}", f"/what@{BOT}x", "/what", f"@{BOT}s"])
def test_photos_among_people_are_left_alone(
    stack: LocalStack, group: TelegramUser, known_file: FileReference, caption: str | None
) -> None:
    size = new_updates.with_photo(1, known_file)["message"]["photo"]
    assert post(stack, group, photo=size, **({"caption": caption} if caption else {})) == 200
    assert (group.messages(), queries.latest_of_chat(group.chat_id)) == ([], [])


@pytest.mark.slow
def test_album_whose_caption_calls_bot_is_answered_whole(group: TelegramUser, photo: bytes) -> None:
    first, *_ = group.send_album([photo] * 3, caption=f"@{BOT}")
    group.wait_for(lambda message: message.answers(first) and message.media_group_id is not None)
    assert len([message for message in group.messages() if message.from_bot and message.photo]) == 3


def test_album_among_people_is_left_alone(stack: LocalStack, group: TelegramUser, photo: bytes) -> None:
    group.send_album([photo] * 2, caption="look")
    TelegramControl(stack.telegram_url).wait_until_delivered()
    assert queries.latest_of_chat(group.chat_id) == []


def test_group_gets_no_more_than_20_messages_a_minute(stack: LocalStack) -> None:
    limit = rate_limit.chat(next(_groups))
    at_once = 0
    while rate_limit.spare(limit):
        at_once += 1
    assert at_once >= limit.burst
    assert at_once + 60 / limit.interval_seconds <= 20


def test_status_leaves_turns_of_group_to_answers(stack: LocalStack) -> None:
    chat_id = next(_groups)
    assert asyncio.run(edits.may_send_status(chat_id))
    assert not asyncio.run(edits.may_send_status(chat_id))
    assert rate_limit.reserve(rate_limit.chat(chat_id)).wait_seconds == 0


@pytest.mark.slow
def test_busy_group_waits_and_loses_nothing(stack: LocalStack, group: TelegramUser) -> None:
    control = TelegramControl(stack.telegram_url)
    control.set(rate_limits=True)
    try:
        asked = [group.send_text("/help") for _ in range(6)]
        for message_id in asked:
            group.wait_for_reply(message_id)
    finally:
        control.set(rate_limits=False)
    assert [call.status for call in control.calls("sendMessage", group.chat_id)] == [200] * 6


def test_replies_in_busy_group_leave_turns_to_answers(stack: LocalStack, group: TelegramUser) -> None:
    limit = rate_limit.chat(group.chat_id)
    rate_limit.pause(limit, 600)
    assert post(stack, group, text="/help", date=int(time.time()) - 60) == 200
    # Telegram would hold back other updates while one is refused.
    assert post(stack, group, text="/help", date=int(time.time())) == 200
    assert group.messages() == []
    rate_limit.forget(limit)
    assert group.wait_for(lambda message: message.text == replies.COMMANDS["help"])
    assert len(group.messages()) == 1


def test_bots_name_is_fetched_once_and_retried_on_failure(stack: LocalStack, group: TelegramUser) -> None:
    control = TelegramControl(stack.telegram_url)
    asked = len(control.calls("getMe"))
    for _ in range(12):
        post(stack, group, text=f"/help@{BOT}x")
    # Once by each of the site's two processes, at most.
    assert len(control.calls("getMe")) - asked <= 2
