"""All who send with the bot's token stay under Telegram's limits together."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from botsite import rate_limit
from deploy.local.stack import LocalStack
from deploy.local.telegram.limits import RateLimits

_chat_ids = itertools.count(9_000_000_000)


@dataclass
class Clock:
    """A clock that stands still until it is put forward (whole seconds: what is stored is rounded)."""

    now: float

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(float(int(time.time())))
    monkeypatch.setattr(rate_limit, "time", clock)
    return clock


@pytest.fixture
def limit(clock: Clock) -> rate_limit.Limit:
    """Return a limit that nobody has used."""
    return rate_limit.Limit(f"pace#test#{uuid4().hex}", interval_seconds=1.0, burst=3)


@pytest.fixture
def bot(limit: rate_limit.Limit, monkeypatch: pytest.MonkeyPatch) -> rate_limit.Limit:
    """Stand a limit in for the bot's, which the stack uses."""
    monkeypatch.setattr(rate_limit, "BOT", limit)
    return limit


def _waits(limit: rate_limit.Limit, messages: int) -> list[float]:
    return [round(rate_limit.reserve(limit).wait_seconds, 2) for _ in range(messages)]


def _busy(limit: rate_limit.Limit) -> float:
    """Expect that no place is near; return after how many seconds to ask again."""
    with pytest.raises(rate_limit.TooBusy) as refusal:
        rate_limit.reserve(limit)
    return round(refusal.value.retry_after_seconds, 2)


def test_burst_is_three_then_one_by_one(limit: rate_limit.Limit) -> None:
    assert _waits(limit, 7) == [0, 0, 0, 1, 2, 3, 4]


def test_album_counts_by_its_pictures(limit: rate_limit.Limit, clock: Clock) -> None:
    album_of = replace(limit, most_at_once=10)
    assert rate_limit.reserve(album_of, 5).wait_seconds == 0
    assert _waits(album_of, 2) == [3, 4]
    clock.now += 7
    assert rate_limit.reserve(album_of, 5).wait_seconds == 0


def test_album_waits_until_nothing_is_ahead(limit: rate_limit.Limit) -> None:
    album_of = replace(limit, most_at_once=10)
    assert _waits(album_of, 3) == [0, 0, 0]
    assert round(rate_limit.reserve(album_of, 2).wait_seconds, 2) == 2
    assert round(rate_limit.reserve(album_of, 1).wait_seconds, 2) == 3


@pytest.mark.parametrize("sign", [1, -1])
def test_albums_stay_below_telegrams_limits(clock: Clock, monkeypatch: pytest.MonkeyPatch, sign: int) -> None:
    monkeypatch.setattr("deploy.local.telegram.limits.time", clock)
    telegram, chat_id = RateLimits(), sign * next(_chat_ids)
    for pictures in (5, 1, 3, 1, 2):
        _send(chat_id, clock, pictures)
        telegram.count_messages(chat_id, pictures)


def test_senders_share_limit(limit: rate_limit.Limit) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = sorted(pool.map(lambda _: rate_limit.reserve(limit).wait_seconds, range(8)))
    assert [round(wait) for wait in waits] == [0, 0, 0, 1, 2, 3, 4, 5]


def test_too_long_wait_gives_retry_time(limit: rate_limit.Limit, clock: Clock) -> None:
    _waits(limit, 8)
    clock.now += _busy(limit)
    assert _waits(limit, 1) == [2.5]


@pytest.mark.parametrize("sign", [1, -1])
def test_chat_gets_no_more_than_telegram_accepts(clock: Clock, monkeypatch: pytest.MonkeyPatch, sign: int) -> None:
    monkeypatch.setattr("deploy.local.telegram.limits.time", clock)
    telegram, chat_id = RateLimits(), sign * next(_chat_ids)
    for _ in range(45):
        _send(chat_id, clock)
        telegram.count_messages(chat_id)


def test_group_gets_forty_answers_within_four_minutes(clock: Clock) -> None:
    began, group = clock.now, -next(_chat_ids)
    for _ in range(40):
        _send(group, clock)
    assert 120 < clock.now - began < 180


@pytest.mark.parametrize("messages", [1, 10])
def test_answers_of_group_come_before_steady_presses(clock: Clock, messages: int) -> None:
    """Given a press a second, and five photos that are finished after a minute."""
    group, waiting = rate_limit.chat(-next(_chat_ids)), [60.0] * 5
    for second in range(300):
        if rate_limit.leaves_room(group, messages):
            _permit(group, messages)
        waiting = [due if due > second else second + _again(group) for due in waiting]
        waiting = [due for due in waiting if due > second]
        clock.now += 1
        if not waiting:
            break
    # The last answer's own turn, and that of the album which may have come before the first.
    assert second <= 60 + 5 * group.interval_seconds + messages * group.interval_seconds


def _again(limit: rate_limit.Limit) -> float:
    """Send an answer; return after how many seconds it has to be tried again, 0 if it was sent."""
    try:
        rate_limit.reserve(limit)
    except rate_limit.TooBusy as busy:
        return round(busy.retry_after_seconds) + 1
    return 0


def test_room_is_left_for_an_answer(limit: rate_limit.Limit, clock: Clock) -> None:
    for left in (True, True, False):
        assert rate_limit.leaves_room(limit) is left
        rate_limit.reserve(limit)
    assert not rate_limit.leaves_room(limit, 10)
    clock.now += 3
    assert rate_limit.leaves_room(limit, 10)


def _send(chat_id: int, clock: Clock, messages: int = 1) -> None:
    """Let the time pass that a message takes, or an album of so many."""
    while (permit := _permit(rate_limit.chat(chat_id), messages)) is None:
        clock.now += 1
    clock.now += permit.wait_seconds


def _permit(limit: rate_limit.Limit, messages: int = 1) -> rate_limit.Permit | None:
    try:
        return rate_limit.reserve(limit, messages)
    except rate_limit.TooBusy:
        return None


def test_status_goes_only_while_no_answer_waits(limit: rate_limit.Limit, clock: Clock) -> None:
    assert [rate_limit.spare(limit) for _ in range(4)] == [True, True, True, False]
    clock.now += 1
    assert _waits(limit, 2) == [0, 1]
    assert not rate_limit.spare(limit)


def test_edit_goes_only_after_silence(limit: rate_limit.Limit, clock: Clock) -> None:
    assert [rate_limit.idle(limit, 2), rate_limit.idle(limit, 2)] == [True, False]
    clock.now += 2
    assert not rate_limit.idle(limit, 2)
    clock.now += 1
    assert rate_limit.idle(limit, 2)
    assert _waits(limit, 2) == [0, 0]


@pytest.mark.parametrize("ago", [0.0, 0.4, -3.0])
def test_one_is_first_since_a_moment_even_if_a_clock_is_slow(limit: rate_limit.Limit, clock: Clock, ago: float) -> None:
    telling, since = replace(limit, interval_seconds=0.0), clock.now - ago
    for _ in range(2):
        taken = [rate_limit.first_since(telling, since)]
        for _ in range(3):
            clock.now += 0.4
            taken.append(rate_limit.first_since(telling, since))
        assert taken == [True, False, False, False]
        since = clock.now = clock.now + 60


def test_status_leaves_pause_alone(limit: rate_limit.Limit) -> None:
    rate_limit.pause(limit, 4)
    assert not rate_limit.spare(limit)
    assert not rate_limit.idle(limit, 2)


def test_pause_holds_for_everybody(limit: rate_limit.Limit, clock: Clock) -> None:
    assert rate_limit.pause(limit, 4) == 4
    assert _waits(limit, 2) == [4, 5]
    clock.now += 60
    assert _waits(limit, 3) == [0, 0, 0]


def test_long_pause_lets_one_probe_through(limit: rate_limit.Limit, clock: Clock) -> None:
    assert rate_limit.pause(limit, 3600) == limit.probe_seconds
    assert _busy(limit) == limit.probe_seconds
    clock.now += limit.probe_seconds
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: _permit(limit), range(4)))
    assert sorted(places, key=str) == [None, None, None, rate_limit.Permit(0, probe=True)]


def test_successful_probe_ends_pause(limit: rate_limit.Limit, clock: Clock) -> None:
    rate_limit.pause(limit, 3600)
    clock.now += limit.probe_seconds
    assert rate_limit.reserve(limit).probe
    rate_limit.resume(limit)
    assert _waits(limit, 3) == [0, 0, 1]


def test_refused_probe_extends_pause(limit: rate_limit.Limit, clock: Clock) -> None:
    rate_limit.pause(limit, 3600)
    clock.now += limit.longest_pause_seconds / 2
    assert rate_limit.reserve(limit).probe
    rate_limit.pause(limit, 3600)
    assert _busy(limit) == limit.probe_seconds


def test_unconfirmed_pause_ends(limit: rate_limit.Limit, clock: Clock) -> None:
    rate_limit.pause(limit, 3600)
    clock.now += limit.longest_pause_seconds
    assert rate_limit.reserve(limit) == rate_limit.Permit(0)


def test_resuming_without_pause_gives_no_permits(limit: rate_limit.Limit) -> None:
    _waits(limit, 3)
    rate_limit.resume(limit)
    assert _waits(limit, 1) == [1]


def test_one_refused_chat_does_not_pause_bot(bot: rate_limit.Limit, clock: Clock) -> None:
    chat_id = next(_chat_ids)
    assert [rate_limit.refused(chat_id, 3600) for _ in range(3)] == [60] * 3
    assert _waits(bot, 1) == [0]
    assert _busy(rate_limit.chat(chat_id)) == 60


def test_two_refused_chats_pause_bot_for_shorter_time(bot: rate_limit.Limit, clock: Clock) -> None:
    rate_limit.refused(next(_chat_ids), 3600)
    clock.now += 1
    assert rate_limit.refused(next(_chat_ids), 4) == 4
    assert _waits(bot, 1) == [4]


def test_chats_refused_far_apart_do_not_pause_bot(bot: rate_limit.Limit, clock: Clock) -> None:
    rate_limit.refused(next(_chat_ids), 3600)
    clock.now += 11
    rate_limit.refused(next(_chat_ids), 3600)
    assert _waits(bot, 1) == [0]


def test_two_chats_at_their_own_limits_do_not_pause_bot(bot: rate_limit.Limit, clock: Clock) -> None:
    for _ in range(2):
        rate_limit.refused(next(_chat_ids), 3600, own=True)
    assert _waits(bot, 1) == [0]


@pytest.mark.parametrize("ahead_seconds", [30, 600])
def test_fast_clock_stops_nobody(limit: rate_limit.Limit, clock: Clock, ahead_seconds: int) -> None:
    for _ in range(3):
        clock.now += ahead_seconds
        assert _waits(limit, 1) == [0]
        clock.now -= ahead_seconds
        assert _waits(limit, 3) == [0, 0, 0]


def test_pause_by_fast_clock_stops_nobody(limit: rate_limit.Limit, clock: Clock) -> None:
    clock.now += 600
    rate_limit.pause(limit, 3600)
    clock.now -= 600
    assert _waits(limit, 3) == [0, 0, 0]


@pytest.mark.parametrize("skew_seconds", [-2, 2])
def test_slightly_different_clocks_share_limit(limit: rate_limit.Limit, clock: Clock, skew_seconds: int) -> None:
    _waits(limit, 5)
    clock.now += skew_seconds
    assert _waits(limit, 1) == [3 - skew_seconds]
