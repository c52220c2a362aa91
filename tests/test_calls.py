"""Calls of `/results` wait for their time and their chat, and no chat keeps the others waiting."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from botsite.sqs import loops
from deploy.local.processes import PATIENCE_SECONDS
from detection.callback_queue import AT_ONCE, OF_A_CHAT_AT_ONCE, Call, Calls
from tests.support.processes import wait_until

BUSY_CHAT, QUIET_CHAT = 1, 2


class Site:
    """Makes calls that last until `open`; remembers which began, and how many of a chat were under way at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.began: list[str] = []
        self.most_at_once = 0
        self._under_way: list[int] = []
        self._changed = threading.Condition()

    def make(self, call: Call) -> None:
        with self._changed:
            self.began.append(call.prediction_id)
            self._under_way.append(call.chat_id)
            self.most_at_once = max(self.most_at_once, self._under_way.count(call.chat_id))
            self._changed.notify_all()
        assert call.chat_id == QUIET_CHAT or self.open.wait(PATIENCE_SECONDS)
        with self._changed:
            self._under_way.remove(call.chat_id)

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        with self._changed:
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
    site.open.set()
    calls.drain(PATIENCE_SECONDS)
    assert sorted(site.began) == sorted(["quiet", *(f"busy-{number}" for number in range(AT_ONCE * 3))])
    assert site.most_at_once == OF_A_CHAT_AT_ONCE


def test_waiting_call_is_not_queued_twice() -> None:
    site = Site()
    calls = Calls(site.make, 1000)
    for _ in range(5):
        assert calls.add(_call("told-again", BUSY_CHAT))
    assert site.wait_until(lambda: site.began == ["told-again"])
    site.open.set()
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
    site.open.set()
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
    wait_until(lambda: made and not calls._under_way[BUSY_CHAT])
    for name in ("second", "third", "fourth"):
        calls.add(_call(name, BUSY_CHAT))
    calls.add(_call("quiet", QUIET_CHAT))
    with changed:
        assert changed.wait_for(lambda: len(made) >= until, PATIENCE_SECONDS)
    calls.drain(PATIENCE_SECONDS)
    return made


def test_chat_with_many_answers_leaves_room_for_others() -> None:
    site = Site()
    calls = Calls(site.make, 8)
    for number in range(20):
        wait_until(lambda: calls.add(_call(f"busy-{number}", BUSY_CHAT)))  # noqa: B023
    wait_until(lambda: calls.add(_call("quiet", QUIET_CHAT)))
    assert site.wait_until(lambda: "quiet" in site.began)
    site.open.set()
    calls.drain(PATIENCE_SECONDS)
    assert len(site.began) == OF_A_CHAT_AT_ONCE + 8 // 4 + 1
