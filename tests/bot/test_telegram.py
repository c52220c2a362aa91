"""What the Bot API refuses is told apart: what a retry can help, and whose failure it is."""

import asyncio
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings

from botsite import rate_limit
from botsite.bot.telegram import api, client
from botsite.bot.telegram.errors import TelegramError
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser


@pytest.fixture
def control(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


def _send(chat_id: int) -> None:
    """Send a text as a process of the service does."""

    async def send() -> None:
        try:
            await api.send_text(chat_id, "hello")
        finally:
            await client.close()

    asyncio.run(send())


def _refused(chat_id: int) -> TelegramError:
    with pytest.raises(TelegramError) as raised:
        _send(chat_id)
    return raised.value


@pytest.mark.parametrize(
    ("effect", "details", "permanent", "answered"),
    [
        ("server_error", {}, False, True),
        ("bad_gateway", {}, False, True),
        ("bad_request", {"description": "Bad Request: IMAGE_PROCESS_FAILED"}, True, True),
        ("forbidden", {}, True, True),
        ("drop", {}, False, False),
        ("too_many_requests", {}, False, False),
        ("too_many_requests", {"retry_after": 1}, False, False),
    ],
)
def test_refusals_are_distinguished_from_network_failures(
    user: TelegramUser,
    control: TelegramControl,
    effect: str,
    details: dict[str, Any],
    permanent: bool,
    answered: bool,
) -> None:
    control.fault("sendMessage", effect, chat_id=user.chat_id, **details)
    error = _refused(user.chat_id)
    assert (error.permanent, error.answered) == (permanent, answered)


def test_unreachable_server_has_not_answered(user: TelegramUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "TELEGRAM_API_URL", "http://127.0.0.1:9")
    error = _refused(user.chat_id)
    assert (error.permanent, error.answered) == (False, False)


def test_migrated_group_gives_its_new_id(user: TelegramUser, control: TelegramControl) -> None:
    group = -user.chat_id
    new_id = control.migrate(group)
    error = _refused(group)
    assert (error.permanent, error.blocked, error.migrated_to) == (True, False, new_id)


def test_refused_chat_waits_and_others_do_not(stack: LocalStack, user: TelegramUser, control: TelegramControl) -> None:
    control.fault("sendMessage", "too_many_requests", chat_id=user.chat_id, retry_after=3600)
    user.send_text("hello")
    control.wait_for_calls("sendMessage", chat_id=user.chat_id)
    other = TelegramUser(stack.telegram_url, user.chat_id + 500_000)
    assert other.wait_for_reply(other.send_text("hello"))
    assert [call.status for call in control.calls("sendMessage", user.chat_id)] == [429]


def test_two_chats_that_had_to_wait_pause_nobody_else(
    user: TelegramUser, control: TelegramControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given two chats with many answers, which Telegram may refuse a moment before their turn."""
    now = time.time()
    # However long sending takes here, the fourth message has to wait; only these chats count, at that time.
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(time=lambda: now))
    monkeypatch.setattr(rate_limit, "BOT", replace(rate_limit.BOT, key=f"pace#bot of {user.chat_id}"))
    for chat_id in (user.chat_id, user.chat_id + 500_000):
        for _ in range(3):
            _send(chat_id)
        control.fault("sendMessage", "too_many_requests", chat_id=chat_id, retry_after=3600)
        assert _refused(chat_id).retry_after_seconds == 60
    assert rate_limit.reserve(rate_limit.BOT).wait_seconds < 1


def test_probe_ends_expired_pause(
    user: TelegramUser, control: TelegramControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.fault("sendMessage", "too_many_requests", chat_id=user.chat_id, retry_after=3600)
    began = time.time()
    assert _refused(user.chat_id).retry_after_seconds == 60
    assert "limit is reached" in str(_refused(user.chat_id))
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(time=lambda: began + 100))
    for _ in range(2):
        _send(user.chat_id)
    assert [call.status for call in control.calls("sendMessage", user.chat_id)] == [429, 200, 200]


def test_refused_chat_action_pauses_nobody(user: TelegramUser, control: TelegramControl, photo: bytes) -> None:
    rule = control.fault("sendChatAction", "too_many_requests", chat_id=user.chat_id, retry_after=3600)
    assert user.wait_for_reply(user.send_photo(photo))
    assert control.faults_fired(rule) == 1
