"""Machines and the photos they work on: exact, first come first served, one heap operation per photo.

Nothing here is an event. When the simulation asks about a time, photos are handed out up to then in one tight loop,
which makes a million photos a matter of a second.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from metrics.simulator.arrivals import Seconds

# This many photos become Python numbers at a time.
_CHUNK = 4096


class Fleet:
    """Machines with `slots` each; a slot works on one photo for a time drawn by `service`."""

    def __init__(self, arrivals: Seconds, slots: int, service: Callable[[int], Seconds]) -> None:
        self._arrivals, self._slots_each, self._service = arrivals, slots, service
        #: When each photo was finished, in order of arrival; NaN before that.
        self.finished = np.full(len(arrivals), math.nan)
        #: The time that the slots of each machine spend on the photos it was given.
        self.slot_seconds: defaultdict[int, float] = defaultdict(float)
        self._slots: list[tuple[float, int]] = []  # A heap of (free since, machine).
        self._taken = 0
        self._busy_until = np.empty(0)
        self._chunk_at, self._chunk = 0, list[tuple[float, float]]()

    def add(self, machine: int, now: float) -> None:
        """Add a machine that works from now on."""
        self.advance(now)
        for _ in range(self._slots_each):
            heapq.heappush(self._slots, (now, machine))

    def remove(self, machine: int, now: float) -> float:
        """Give a machine no more photos; return when it will have finished those it has, `now` if it is idle."""
        self.advance(now)
        last = max((free for free, owner in self._slots if owner == machine), default=now)
        self._slots = [slot for slot in self._slots if slot[1] != machine]
        heapq.heapify(self._slots)
        return max(last, now)

    def depth(self, now: float) -> tuple[int, int]:
        """Return how many photos are waiting, and how many are in progress."""
        self.advance(now)
        self._busy_until = self._busy_until[self._busy_until > now]
        return int(np.searchsorted(self._arrivals, now, "right")) - self._taken, len(self._busy_until)

    @property
    def all_taken(self) -> bool:
        """Return whether every photo has been handed out."""
        return self._taken == len(self._arrivals)

    def advance(self, now: float) -> None:
        """Hand out photos until `now`."""
        while self._slots and self._taken < len(self._arrivals):
            photos = self._next_photos()
            finished = np.array(_work(self._slots, photos, now, self.slot_seconds))
            self.finished[self._taken : self._taken + len(finished)] = finished
            self._taken += len(finished)
            self._busy_until = np.concatenate([self._busy_until, finished[finished > now]])
            if len(finished) < len(photos):
                return

    def _next_photos(self) -> list[tuple[float, float]]:
        """Return (arrival, service seconds) of the next photos to hand out."""
        if self._taken >= self._chunk_at + len(self._chunk):
            self._chunk_at = self._taken
            arrivals = self._arrivals[self._taken : self._taken + _CHUNK]
            self._chunk = list(zip(arrivals.tolist(), self._service(len(arrivals)).tolist(), strict=True))
        return self._chunk[self._taken - self._chunk_at :]


def _work(
    slots: list[tuple[float, int]], photos: list[tuple[float, float]], now: float, spent: defaultdict[int, float]
) -> list[float]:
    """Give photos to the slots that are free first, while they start by `now`; return when each is finished.

    `spent` gets the seconds by machine.
    """
    finished = []
    for arrival, seconds in photos:
        free, machine = slots[0]
        start = arrival if arrival > free else free
        if start > now:
            break
        heapq.heapreplace(slots, (start + seconds, machine))
        finished.append(start + seconds)
        spent[machine] += seconds
    return finished
