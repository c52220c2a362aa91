"""The fake Telegram misbehaves on request."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest
from telegram import (
    Bot,
    Message,
)
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut

from deploy.local.telegram.client import TelegramClientError
from tests.fake_telegram.hook import Webhook
from tests.fake_telegram.service import CHAT, TIME_SCALE, TLS, TOKEN, Fake, picture, polled

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("effect", "details", "error", "text"),
    [
        ("too_many_requests", {"retry_after": 3}, RetryAfter, "Flood control exceeded"),
        ("too_many_requests", {}, NetworkError, "Too Many Requests"),
        ("server_error", {}, NetworkError, "Internal Server Error"),
        ("bad_gateway", {}, NetworkError, "Bad Gateway"),
        ("drop", {}, NetworkError, "httpx"),
        ("forbidden", {}, Forbidden, "bot was blocked by the user"),
        ("bad_request", {}, BadRequest, "Chat not found"),
        ("bad_request", {"description": "Bad Request: query is too old"}, BadRequest, "Query is too old"),
        ("unauthorized", {}, InvalidToken, "Unauthorized"),
    ],
)
@pytest.mark.smoke
def test_failed_call_sends_nothing(
    telegram: Fake, effect: str, details: dict[str, Any], error: type[Exception], text: str
) -> None:
    rule = telegram.control.fault("sendMessage", effect, chat_id=CHAT, **details)
    telegram.bot(lambda bot: bot.send_message(9, "another chat"))
    with pytest.raises(error, match=text):
        telegram.bot(lambda bot: bot.send_message(CHAT, "x"))
    assert telegram.control.faults_fired(rule) == 1
    assert telegram.user().messages() == []
    telegram.bot(lambda bot: bot.send_message(CHAT, "x"))


@pytest.mark.parametrize(("effect", "error"), [("apply_then_hang", TimedOut), ("apply_then_drop", NetworkError)])
def test_lost_response_leaves_message_in_chat(telegram: Fake, effect: str, error: type[Exception]) -> None:
    telegram.control.fault("sendPhoto", effect)
    with pytest.raises(error):
        telegram.bot(lambda bot: bot.send_photo(CHAT, picture()), read_timeout=0.3, media_write_timeout=5)
    assert telegram.user().wait_for(lambda message: message.from_bot).photo is not None


def test_slow_response_outlasts_read_timeout(telegram: Fake) -> None:
    telegram.control.fault("sendMessage", "slow_reply", seconds=2.5)
    sent = telegram.bot(lambda bot: bot.send_message(CHAT, "slow"), read_timeout=2)
    assert [message.message_id for message in telegram.user().messages()] == [sent.message_id]


def test_delayed_call_takes_effect_after_bot_gave_up(telegram: Fake) -> None:
    telegram.control.fault("sendMessage", "delay", seconds=2)
    with pytest.raises(TimedOut):
        telegram.bot(lambda bot: bot.send_message(CHAT, "late"), read_timeout=0.05)
    assert telegram.user().messages() == []
    assert telegram.user().wait_for(lambda message: message.text == "late").from_bot


def test_rule_applies_n_times_or_until_cleared(telegram: Fake) -> None:
    telegram.control.fault("*", "server_error", times=None)
    for _ in range(3):
        assert telegram.api("getMe").status_code == 500
    telegram.control.clear_faults()
    telegram.control.fault("getMe", "delay", seconds=0.01, times=2)
    assert telegram.api("getMe").status_code == 200
    with pytest.raises(TelegramClientError, match="no effect 'explode'"):
        telegram.control.fault("sendMessage", "explode")
    with pytest.raises(TelegramClientError, match="webhook has no effect 'forbidden'"):
        telegram.control.fault("webhook", "forbidden")


def test_downloads_can_be_missing_truncated_slow_or_cut(telegram: Fake) -> None:
    data = random.Random(2).randbytes(100_000)
    telegram.user().send_document(data, "file.bin")
    (update,) = polled(telegram)
    assert update.message
    assert update.message.document
    path = telegram.api("getFile", json={"file_id": update.message.document.file_id}).json()["result"]["file_path"]
    url = f"{telegram.url}/file/bot{TOKEN}/{path}"
    assert not path.startswith(("http", "/"))
    telegram.control.fault("file", "not_found")
    assert httpx.get(url, verify=TLS).status_code == 404
    for effect in ("truncated", "drop"):
        telegram.control.fault("file", effect)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url, verify=TLS)
    telegram.control.fault("file", "slow", seconds=0.1)
    assert httpx.get(url, verify=TLS).content == data


def test_rate_limits_apply_only_when_enabled(telegram: Fake) -> None:
    async def burst(bot: Bot, chats: list[int]) -> list[int]:
        sent = [bot.send_message(chat_id, "x") for chat_id in chats]
        done = await asyncio.gather(*sent, return_exceptions=True)
        assert all(isinstance(one, Message | RetryAfter) for one in done), done
        return [chat_id for chat_id, one in zip(chats, done, strict=True) if isinstance(one, RetryAfter)]

    assert telegram.bot(lambda bot: burst(bot, [CHAT] * 40)) == []
    telegram.control.set(rate_limits=True)
    assert telegram.bot(lambda bot: burst(bot, [CHAT] * 4)) == [CHAT]
    telegram.control.reset()
    telegram.control.set(rate_limits=True)
    others = list(range(1, 200))
    assert len(telegram.bot(lambda bot: burst(bot, others))) >= 1


def test_set_webhook_is_limited_to_once_a_second(telegram: Fake) -> None:
    telegram.control.set(rate_limits=True)
    statuses = [telegram.api("setWebhook", json={"url": "http://127.0.0.1:9/"}) for _ in range(2)]
    assert [answer.status_code for answer in statuses] == [200, 429]
    assert statuses[1].json()["parameters"] == {"retry_after": 1}


def test_call_log_has_method_chat_and_status(telegram: Fake) -> None:
    telegram.bot(lambda bot: bot.send_message(CHAT, "x"))
    telegram.api("sendMessage", json={"chat_id": CHAT, "text": ""})
    calls = telegram.control.wait_for_calls("sendMessage", count=2, chat_id=CHAT)
    assert [(call.method, call.chat_id, call.status, call.detail) for call in calls] == [
        ("sendMessage", CHAT, 200, ""), ("sendMessage", CHAT, 400, "Bad Request: message text is empty"),
    ]  # fmt: skip
    assert telegram.control.calls("sendMessage", after=calls[0].number) == calls[1:]


def test_reset_keeps_webhook_and_reuses_no_ids(telegram: Fake, webhook: Webhook) -> None:
    before = telegram.user().send_text("hello")
    telegram.control.wait_until_delivered()
    telegram.control.fault("*", "server_error", times=None)
    telegram.control.set(rate_limits=True)
    telegram.control.reset()
    assert telegram.user().messages() == []
    assert telegram.control.calls() == []
    assert telegram.control.set() == {
        "rate_limits": False, "time_scale": TIME_SCALE, "webhook_timeout_seconds": 60.0,
    }  # fmt: skip
    assert telegram.user().send_text("again") > before
    assert webhook.texts(2) == ["hello", "again"]


def test_migrated_group_names_its_new_id(telegram: Fake) -> None:
    group, sends = -4321, ("sendMessage", "sendPhoto", "sendChatAction")
    supergroup = telegram.control.migrate(group)
    data = {"chat_id": group, "text": "x", "action": "typing"}
    details: dict[str, Any] = {"data": data, "files": {"photo": picture()}}
    answers = [telegram.api(method, **details).json() for method in sends]
    assert [(answer["description"], answer["parameters"]) for answer in answers] == [
        ("Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": supergroup})
    ] * 3
    telegram.bot(lambda bot: bot.send_message(supergroup, "x"))
    assert [message.text for message in telegram.user(supergroup).messages()] == ["x"]
    with pytest.raises(TelegramClientError, match=str(supergroup)):
        telegram.user(group).send_text("x")


def test_only_plain_groups_migrate(telegram: Fake) -> None:
    for chat_id in (CHAT, telegram.control.migrate(-4322)):
        with pytest.raises(TelegramClientError, match="404"):
            telegram.control.migrate(chat_id)
