"""The fake Telegram's rate limits are those Telegram documents. The clock stands still, so each is exact."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from deploy.local.telegram import limits
from deploy.local.telegram.calls import ApiError
from deploy.local.telegram.limits import RateLimits

PERSON, GROUP = 7, -7


@dataclass
class Clock:
    """A clock that is moved by hand."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def _sent(rates: RateLimits, chat_ids: list[int]) -> int:
    """Send until a message is refused; return how many were not."""
    for number, chat_id in enumerate(chat_ids):
        if _retry_after(rates, chat_id):
            return number
    return len(chat_ids)


def _retry_after(rates: RateLimits, chat_id: int) -> int | None:
    try:
        rates.count_messages(chat_id)
    except ApiError as error:
        return error.parameters["retry_after"]
    return None


@pytest.mark.parametrize("chat_id", [PERSON, GROUP])
def test_chat_takes_three_at_once_and_one_a_second(clock: Clock, chat_id: int) -> None:
    rates = RateLimits()
    assert (_sent(rates, [chat_id] * 5), _retry_after(rates, chat_id)) == (3, 1)
    clock.now += 1
    assert _sent(rates, [chat_id] * 2) == 1


def test_group_takes_twenty_a_minute(clock: Clock) -> None:
    rates = RateLimits()
    for _ in range(20):
        clock.now += 1
        assert _retry_after(rates, GROUP) is None
    clock.now += 1
    assert _retry_after(rates, GROUP) == 40
    clock.now += 40
    assert _sent(rates, [GROUP] * 2) == 1


def test_group_at_its_limit_does_not_limit_others(clock: Clock) -> None:
    rates = RateLimits()
    _sent(rates, [GROUP] * 4)
    assert _sent(rates, [PERSON, GROUP - 1]) == 2


def test_bot_sends_thirty_a_second(clock: Clock) -> None:
    rates = RateLimits()
    assert _sent(rates, list(range(1, 40))) == 30
    clock.now += 1
    assert _sent(rates, list(range(1, 40))) == 30
