"""Queue the calls of the site, and make each when it is due: chats take turns, so none waits for others' backlogs.

A chat gets one message a second, a group one every four seconds, and the site holds a call for up to 2 s until it is
the chat's turn. A chat's first call may take any thread, the calls after it share half of them. Once the site says that
a chat is at its limit, all of its calls wait; then one of them tries.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from operator import attrgetter

import structlog

from botsite.sqs.loops import Loop

log = structlog.get_logger()

AT_ONCE = 16
LATER_AT_ONCE = AT_ONCE // 2
# Two keep a chat busy: one waits for its turn while the other is sent.
OF_A_CHAT_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Call:
    """A call to make, once it is `due` (monotonic seconds)."""

    due: float
    prediction_id: str
    chat_id: int
    tries: int = 0
    chat_busy: bool = False  # Its whole chat is to wait until then.


@dataclass(slots=True)
class _Chat:
    """The calls of a chat, in the order they came."""

    turn: int  # Among chats with equally many calls under way, the lowest is next.
    calls: dict[str, Call] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    served: bool = False
    busy_until: float = 0.0  # Until then, the site would refuse its calls; 0 once one has got through.

    def waiting(self) -> list[Call]:
        return [call for call in self.calls.values() if call.prediction_id not in self.under_way]

    def has_room(self) -> bool:
        return len(self.under_way) < (1 if self.busy_until else OF_A_CHAT_AT_ONCE)

    def due(self) -> float:
        """Return when the first of the calls that wait may be made."""
        return max(self.busy_until, min(call.due for call in self.waiting()))


class Calls:
    """The calls to make, and the threads that pass them to `make`, which returns the call to make again, if any."""

    def __init__(self, make: Callable[[Call], Call | None], calls_at_most: int) -> None:
        self._make = make
        self._calls_at_most = calls_at_most
        self._chats: dict[int, _Chat] = {}  # Those with calls that wait or are under way.
        self._later: set[str] = set()  # The calls under way that are not their chat's first.
        self._turns = count()
        self._changed = threading.Condition()
        self._leaving = False
        self._threads = [Loop(f"callback-{number}", self._turn) for number in range(AT_ONCE)]
        for thread in self._threads:
            thread.start()

    def add(self, call: Call) -> bool:
        """Take a call; return False if this process is leaving, or is full of chats with fewer calls than this one."""
        with self._changed:
            chat = self._chats.get(call.chat_id) or _Chat(next(self._turns))
            if call.prediction_id in chat.calls:
                # A second call would be in vain.
                return True
            if self._leaving or not self._makes_room(len(chat.calls)):
                return False
            self._chats[call.chat_id] = chat
            chat.calls[call.prediction_id] = call
            self._changed.notify()
            return True

    def drain(self, timeout_seconds: float) -> None:
        """Make the calls that are due and drop the others, within `timeout_seconds`."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _makes_room(self, calls: int) -> bool:
        """Return whether a chat with so many calls may have another.

        If all room is taken, the chat with the most calls loses its newest, which the sweep finds.
        """
        if sum(len(chat.calls) for chat in self._chats.values()) < self._calls_at_most:
            return True
        longest = max(self._chats.values(), key=lambda chat: len(chat.waiting()))
        waiting = longest.waiting()
        if len(waiting) <= calls + 1:
            return False
        log.warning("callback_skipped", prediction_id=waiting[-1].prediction_id)
        del longest.calls[waiting[-1].prediction_id]
        return True

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
                now, chats = time.monotonic(), self._with_room()
                if due := [chat for chat in chats if chat.due() <= now]:
                    # Another thread has to begin what else is due, or wait for what is due next.
                    self._changed.notify()
                    return self._begin(min(due, key=lambda chat: (len(chat.under_way), chat.turn)))
                if self._leaving:
                    return None
                self._changed.wait(min((chat.due() - now for chat in chats), default=None))

    def _with_room(self) -> list[_Chat]:
        """Return the chats whose next call may begin once it is due."""
        full = len(self._later) >= LATER_AT_ONCE
        return [
            chat
            for chat in self._chats.values()
            if chat.has_room() and not (full and chat.served) and len(chat.calls) > len(chat.under_way)
        ]

    def _begin(self, chat: _Chat) -> Call:
        call = min(chat.waiting(), key=attrgetter("due"))
        chat.under_way.add(call.prediction_id)
        if chat.served:
            self._later.add(call.prediction_id)
        chat.served, chat.turn = True, next(self._turns)
        return call

    def _end(self, call: Call, again: Call | None) -> None:
        """Make room for the chat's next call, and keep what is to be made again."""
        chat = self._chats[call.chat_id]
        chat.under_way.discard(call.prediction_id)
        self._later.discard(call.prediction_id)
        if again is None or self._leaving:
            del chat.calls[call.prediction_id]
        else:
            chat.calls[call.prediction_id] = again
        if again and again.chat_busy:
            chat.busy_until = again.due
        elif chat.busy_until <= time.monotonic():
            chat.busy_until = 0.0
        if not chat.calls:
            del self._chats[call.chat_id]
