"""What the Bot API refuses is told apart: what a retry can help, and whose failure it is."""

import asyncio
from typing import Any

import pytest

from botsite import telegram
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser


@pytest.fixture
def control(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


def _refused(chat_id: int) -> telegram.TelegramError:
    """Send a text from a process of the service's; return what came of it."""

    async def send() -> None:
        try:
            await telegram.send_text(chat_id, "hello")
        finally:
            await telegram.close()

    with pytest.raises(telegram.TelegramError) as raised:
        asyncio.run(send())
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
def test_refusals_are_told_from_failures_of_the_network(
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


def test_a_server_that_is_away_has_not_answered(user: TelegramUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram.settings, "TELEGRAM_API_URL", "http://127.0.0.1:9")
    error = _refused(user.chat_id)
    assert (error.permanent, error.answered) == (False, False)


def test_migrated_group_has_a_new_id(user: TelegramUser, control: TelegramControl) -> None:
    group = -user.chat_id
    new_id = control.migrate(group)
    error = _refused(group)
    assert (error.permanent, error.blocked, error.migrated_to) == (True, False, new_id)
