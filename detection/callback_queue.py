"""Queue the calls of the site: each is made when it is due, on few threads, and few at once for one chat.

A chat gets one message a second, so calls for a chat with hundreds of answers wait. If they took all threads, everybody
else would wait for that chat too. Once the site says that a chat is at its limit, all of its calls wait.
"""

import heapq
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from botsite.sqs.loops import Loop

log = structlog.get_logger()

AT_ONCE = 16
# Two keep a chat busy: one waits for its turn while the other is sent.
OF_A_CHAT_AT_ONCE = 2


@dataclass(order=True, frozen=True, slots=True)
class Call:
    """A call to make, once it is `due` (monotonic seconds)."""

    due: float
    prediction_id: str = field(compare=False)
    chat_id: int = field(compare=False)
    tries: int = field(default=0, compare=False)
    chat_busy: bool = field(default=False, compare=False)  # Its whole chat is to wait until then.


class Calls:
    """The calls that wait, and the threads that pass them to `make`, which returns the call to make again, if any."""

    def __init__(self, make: Callable[[Call], Call | None], waiting_at_most: int) -> None:
        self._make = make
        self._waiting_at_most = waiting_at_most
        # A chat that Telegram refuses for an hour must leave room for others.
        self._held_of_a_chat_at_most = waiting_at_most // 4
        self._waiting: list[Call] = []  # A heap: the first due is first.
        self._held: defaultdict[int, deque[Call]] = defaultdict(deque)  # Due, but their chat has enough under way.
        self._under_way: Counter[int] = Counter()
        self._busy_until: dict[int, float] = {}  # Until then, the site would refuse calls for the chat.
        self._ids: set[str] = set()  # Waiting, held or under way: a second call would be in vain.
        self._changed = threading.Condition()
        self._leaving = False
        self._threads = [Loop(f"callback-{number}", self._turn) for number in range(AT_ONCE)]
        for thread in self._threads:
            thread.start()

    def add(self, call: Call) -> bool:
        """Take a call; return False if there are too many, or this process is leaving."""
        with self._changed:
            if call.prediction_id in self._ids:
                return True
            if self._leaving or len(self._ids) >= self._waiting_at_most:
                return False
            self._ids.add(call.prediction_id)
            self._wait_for(call)
            return True

    def drain(self, timeout_seconds: float) -> None:
        """Make the calls that are due and drop the others, within `timeout_seconds`."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _turn(self) -> bool:
        """Make one call; return whether this thread has nothing more to do."""
        call = self._next()
        if call is None:
            return True
        again = None
        try:
            again = self._make(call)
        except Exception:
            log.exception("callback_failed", prediction_id=call.prediction_id)
        finally:
            with self._changed:
                self._end(call, again)
        return False

    def _next(self) -> Call | None:
        """Return the next call when it is due; None when the process is leaving and nothing is due."""
        with self._changed:
            while True:
                wait = self._waiting[0].due - time.monotonic() if self._waiting else None
                if wait is not None and wait <= 0:
                    call = heapq.heappop(self._waiting)
                    if self._begins(call):
                        return call
                elif self._leaving:
                    return None
                else:
                    self._changed.wait(wait)

    def _begins(self, call: Call) -> bool:
        """Return whether the call's chat has room for it; else hold it until one of the chat's calls has ended."""
        busy = self._busy_until.get(call.chat_id, 0.0) > time.monotonic()
        if busy or self._under_way[call.chat_id] >= OF_A_CHAT_AT_ONCE:
            self._hold(call)
            return False
        self._busy_until.pop(call.chat_id, None)
        self._under_way[call.chat_id] += 1
        return True

    def _hold(self, call: Call) -> None:
        """Keep a call until its chat has room, or leave it to the sweep if the chat has too many."""
        held = self._held[call.chat_id]
        if len(held) < self._held_of_a_chat_at_most:
            held.append(call)
        else:
            self._ids.discard(call.prediction_id)

    def _end(self, call: Call, again: Call | None) -> None:
        """Make room for the chat's next call, and keep what is to be made again."""
        self._under_way -= Counter([call.chat_id])
        if again is None or self._leaving:
            self._ids.discard(call.prediction_id)
        else:
            self._wait_for(again)
            if again.chat_busy:
                # What is held waits for this call to end.
                self._busy_until[call.chat_id] = again.due
                return
        if held := self._held.get(call.chat_id):
            self._wait_for(held.popleft())
        else:
            self._held.pop(call.chat_id, None)

    def _wait_for(self, call: Call) -> None:
        heapq.heappush(self._waiting, call)
        self._changed.notify()
