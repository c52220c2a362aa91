"""All who send with the bot's token stay under Telegram's limits together."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import pytest

from botsite import pace
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser


@pytest.fixture
def limit(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> pace.Limit:
    """Return a limit nobody has used, at a moment that does not pass (a whole second: what is stored is rounded)."""
    now = float(int(time.time()))
    monkeypatch.setattr(pace, "time", SimpleNamespace(time=lambda: now))
    return pace.Limit(f"pace#test#{uuid4().hex}", interval_seconds=1.0, burst=3)


def test_a_burst_goes_at_once_and_the_rest_one_by_one(limit: pace.Limit) -> None:
    waits = [pace.reserve(limit) for _ in range(7)]
    assert waits[:4] == [0, 0, 0, 0]
    assert [round(wait) for wait in waits[4:]] == [1, 2, 3]


def test_many_senders_share_the_places(limit: pace.Limit) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = sorted(pool.map(lambda _: pace.reserve(limit), range(8)))
    assert [round(wait) for wait in waits] == [0, 0, 0, 0, 1, 2, 3, 4]


def test_who_would_wait_too_long_is_told_when_to_come_back(limit: pace.Limit) -> None:
    def busy() -> pace.TooBusy:
        while True:
            pace.reserve(limit)

    with pytest.raises(pace.TooBusy) as refusal:
        busy()
    assert 0 < refusal.value.retry_after_seconds < 10


def test_a_pause_holds_for_everybody(limit: pace.Limit) -> None:
    pace.pause(limit, 60)
    with pytest.raises(pace.TooBusy) as refusal:
        pace.reserve(limit)
    assert 50 < refusal.value.retry_after_seconds < 65


def test_a_429_from_telegram_pauses_every_sender(stack: LocalStack, user: TelegramUser) -> None:
    control = TelegramControl(stack.telegram_url)
    control.fault("sendMessage", "too_many_requests", chat_id=user.chat_id, retry_after=1)
    user.send_text("hello")
    refused = control.wait_for_calls("sendMessage", chat_id=user.chat_id)[0]
    answered = control.wait_for_calls("sendMessage", count=2, chat_id=user.chat_id)[1]
    assert (refused.status, answered.status) == (429, 200)
    assert answered.time - refused.time >= 1
