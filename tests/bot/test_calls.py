"""Calls of `/results` wait for their time and their chat, and no chat keeps the others waiting."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count, product

import pytest

from botsite.sqs import loops
from deploy.local.processes import PATIENCE_SECONDS
from detection.work.callback_queue import AT_ONCE, LATER_AT_ONCE, OF_A_CHAT_AT_ONCE, Call, Calls
from tests.support.processes import wait_until

BUSY_CHAT, QUIET_CHAT = 1, 2


@dataclass
class Site:
    """Makes calls that last until they may end, or until `open`; remembers which began, and how many at once."""

    ends: Callable[[Call], bool] = lambda call: call.chat_id == QUIET_CHAT
    began: list[str] = field(default_factory=list)
    most_at_once: int = 0
    _open: bool = False
    _under_way: list[int] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def make(self, call: Call) -> None:
        with self._changed:
            self.began.append(call.prediction_id)
            self._under_way.append(call.chat_id)
            self.most_at_once = max(self.most_at_once, self._under_way.count(call.chat_id))
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._open or self.ends(call), PATIENCE_SECONDS)
            self._under_way.remove(call.chat_id)

    def open(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        with self._changed:
            self._changed.notify_all()
            return self._changed.wait_for(condition, PATIENCE_SECONDS)


def _call(prediction_id: str, chat_id: int) -> Call:
    return Call(time.monotonic(), prediction_id, chat_id)


def test_many_answers_of_one_chat_do_not_delay_another() -> None:
    site = Site()
    calls = Calls(site.make, 1000)
    for number in range(AT_ONCE * 3):
        calls.add(_call(f"busy-{number}", BUSY_CHAT))
    calls.add(_call("quiet", QUIET_CHAT))
    assert site.wait_until(lambda: "quiet" in site.began)
    assert len(site.began) <= OF_A_CHAT_AT_ONCE + 1
    site.open()
    calls.drain(PATIENCE_SECONDS)
    assert sorted(site.began) == sorted(["quiet", *(f"busy-{number}" for number in range(AT_ONCE * 3))])
    assert site.most_at_once == OF_A_CHAT_AT_ONCE


def test_waiting_call_is_not_queued_twice() -> None:
    site = Site()
    calls = Calls(site.make, 1000)
    for _ in range(5):
        assert calls.add(_call("told-again", BUSY_CHAT))
    assert site.wait_until(lambda: site.began == ["told-again"])
    site.open()
    calls.drain(PATIENCE_SECONDS)
    assert site.began == ["told-again"]


def test_postponed_call_is_made_when_due() -> None:
    made: list[int] = []
    done = threading.Event()

    def make(call: Call) -> Call | None:
        made.append(call.tries)
        if call.tries == 2:
            done.set()
            return None
        return replace(call, due=time.monotonic() + 0.01, tries=call.tries + 1)

    calls = Calls(make, 1000)
    calls.add(_call("again", QUIET_CHAT))
    assert done.wait(PATIENCE_SECONDS)
    assert made == [0, 1, 2]


def test_full_or_leaving_queue_refuses_calls() -> None:
    site = Site()
    calls = Calls(site.make, 2)
    assert [calls.add(_call(name, BUSY_CHAT)) for name in ("one", "two", "three")] == [True, True, False]
    site.open()
    calls.drain(PATIENCE_SECONDS)
    assert not calls.add(_call("late", QUIET_CHAT))


def test_failing_calls_end_no_thread_and_take_no_room() -> None:
    made: list[str] = []
    done = threading.Event()

    def make(call: Call) -> None:
        made.append(call.prediction_id)
        if call.prediction_id == "good":
            done.set()
        raise ValueError("a defect")

    calls = Calls(make, AT_ONCE)
    for round_number in range(3):
        for number in range(AT_ONCE):
            assert wait_until(lambda: calls.add(_call(f"bad-{round_number}-{number}", number)))  # noqa: B023
    assert wait_until(lambda: calls.add(_call("good", QUIET_CHAT)))
    assert done.wait(PATIENCE_SECONDS)
    assert not [name for name in loops.dead() if name.startswith("callback")]
    calls.drain(PATIENCE_SECONDS)


def test_calls_for_busy_chat_wait() -> None:
    made = _made_while_busy(3600, until=2)
    assert made == ["first", "quiet"]


def test_waiting_calls_are_all_made() -> None:
    made = _made_while_busy(0.01, until=6)
    assert sorted(made) == ["first", "first", "fourth", "quiet", "second", "third"]


def _made_while_busy(seconds: float, until: int) -> list[str]:
    """Make calls, after the first of which a chat is busy for so long; return what was made."""
    made: list[str] = []
    changed = threading.Condition()

    def make(call: Call) -> Call | None:
        with changed:
            made.append(call.prediction_id)
            changed.notify_all()
            busy = made == ["first"]
        return replace(call, due=time.monotonic() + seconds, chat_busy=True) if busy else None

    calls = Calls(make, 1000)
    calls.add(_call("first", BUSY_CHAT))
    wait_until(lambda: made and not any(chat.under_way for chat in list(calls._chats.values())))
    for name in ("second", "third", "fourth"):
        calls.add(_call(name, BUSY_CHAT))
    calls.add(_call("quiet", QUIET_CHAT))
    with changed:
        assert changed.wait_for(lambda: len(made) >= until, PATIENCE_SECONDS)
    calls.drain(PATIENCE_SECONDS)
    return made


def test_refused_chat_has_one_call_try_again() -> None:
    site, refusals, over = Site(lambda call: True), count(1), threading.Event()

    def make(call: Call) -> Call | None:
        site.make(call)
        if next(refusals) > 50:
            over.set()
        return None if over.is_set() else replace(call, due=time.monotonic(), chat_busy=True)

    calls = Calls(make, 1000)
    calls.add(_call("first", BUSY_CHAT))
    assert site.wait_until(lambda: len(site.began) > 1)
    for number in range(5):
        calls.add(_call(f"{number}", BUSY_CHAT))
    assert over.wait(PATIENCE_SECONDS)
    assert site.most_at_once == 1
    calls.drain(PATIENCE_SECONDS)


def test_chat_with_many_answers_leaves_room_for_others() -> None:
    site = Site()
    calls = Calls(site.make, 8)
    assert [calls.add(_call(f"busy-{number}", BUSY_CHAT)) for number in range(20)] == [True] * 8 + [False] * 12
    assert calls.add(_call("quiet", QUIET_CHAT))
    assert site.wait_until(lambda: "quiet" in site.began)
    site.open()
    calls.drain(PATIENCE_SECONDS)
    assert sorted(site.began) == [*(f"busy-{number}" for number in range(7)), "quiet"]


def test_four_chats_with_250_answers_leave_room_for_strangers() -> None:
    site, busy, strangers = Site(), range(10, 14), range(100, 150)
    calls = Calls(site.make, 1000)
    for number, chat in product(range(250), busy):
        assert calls.add(_call(f"{chat}-{number}", chat))
    assert [chat for chat in strangers if not calls.add(_call(f"{chat}", chat))] == []
    site.open()
    calls.drain(PATIENCE_SECONDS)
    assert {f"{chat}" for chat in strangers} <= set(site.began)
    for chat in busy:
        made = {name for name in site.began if name.startswith(f"{chat}-")}
        # The newest were dropped, of each chat as many.
        assert made == {f"{chat}-{number}" for number in range(len(made))}
        assert len(made) >= 250 - len(strangers) / len(busy) - 1


def test_no_chat_loses_its_only_call() -> None:
    site, chats = Site(), range(10, 10 + AT_ONCE * 2)
    calls = Calls(site.make, len(chats))
    assert all(calls.add(_call(f"{chat}", chat)) for chat in chats)
    assert not calls.add(_call("quiet", QUIET_CHAT))
    site.open()
    calls.drain(PATIENCE_SECONDS)
    assert sorted(site.began) == [f"{chat}" for chat in chats]


@pytest.mark.parametrize("busy", [1, 7, 8, 9, 40])
def test_strangers_do_not_wait_for_busy_chats(busy: int) -> None:
    """Given chats whose first answer goes at once, while the site keeps their other calls until it is their turn."""
    strangers = [f"{chat}" for chat in range(100, 112)]
    site = Site(lambda call: call.prediction_id in strangers or call.prediction_id.endswith("-0"))
    calls = Calls(site.make, 1000)
    for number, chat in product(range(20), range(10, 10 + busy)):
        calls.add(_call(f"{chat}-{number}", chat))
    assert site.wait_until(lambda: len(site.began) >= busy + min(LATER_AT_ONCE, busy * OF_A_CHAT_AT_ONCE))
    for name in strangers:
        calls.add(_call(name, int(name)))
    assert site.wait_until(lambda: set(strangers) <= set(site.began))
    assert len(site.began) == busy + min(LATER_AT_ONCE, busy * OF_A_CHAT_AT_ONCE) + len(strangers)
    site.open()
    calls.drain(PATIENCE_SECONDS)
    assert len(site.began) == 20 * busy + len(strangers)


def test_busy_chats_take_turns() -> None:
    ended, chats, rounds = set[str](), range(10, 19), range(5)
    site = Site(lambda call: call.prediction_id in ended)
    calls = Calls(site.make, 1000)
    for chat, number in product(chats, rounds):
        calls.add(_call(f"{chat}-{number}", chat))
    for number, chat in product(rounds, chats):
        assert site.wait_until(lambda: f"{chat}-{number}" in site.began)  # noqa: B023
        assert {int(name[-1]) for name in site.began} <= set(range(number + 2))
        ended.add(f"{chat}-{number}")
    site.open()
    calls.drain(PATIENCE_SECONDS)
