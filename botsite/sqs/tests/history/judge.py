"""Judge a history: what the transport has promised, and where it broke its word."""

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property

from .events import Event

OUTCOMES = frozenset({"ended", "failed", "retried"})
SETTLING = frozenset({"deleted", "extended", "released"})
PROMISES = {
    "lost": "a task that never ended well",
    "deleted too soon": "a message deleted before its task ended well or was sent again",
    "doubled": "a start more than failures, retries and faults account for",
    "early": "a start before its time",
    "kept": "a message that a worker told to end has not given back",
    "deaf": "a worker that does not receive any more after the last fault",
    "dead": "a worker that ended by itself, or badly",
}


class History:
    """The facts of one run, and what they mean."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._of: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            self._of[event.what].append(event)

    def broken(self) -> dict[str, list[str]]:
        """Return for each promise the tasks, messages and workers that it was not kept for."""
        found = [
            self._lost(), self._deleted_too_soon(), self._doubled(), self._early(), self._kept(), self._deaf(),
            (event.who for event in self._of["died"]),
        ]  # fmt: skip
        return {promise: sorted(set(names)) for promise, names in zip(PROMISES, found, strict=True)}

    def figures(self) -> dict[str, int]:
        """Return how many tasks, starts, faults and excused doubles there were."""
        return {
            "tasks": len({event.key for event in self._of["sent"]}),
            "starts": len(self._of["started"]),
            "processes killed, halted, ended": sum(len(self._of[what]) for what in ("killed", "halted", "told")),
            "requests broken": sum(bool(event.fault) for event in self._events),
            "starts twice because of them": sum(excess for excess in self._excess.values() if excess > 0),
        }

    def _lost(self) -> Iterable[str]:
        return {event.key for event in self._of["sent"]} - {event.key for event in self._of["ended"]}

    def _deleted_too_soon(self) -> Iterable[str]:
        """Find messages that were deleted although no run of theirs ended well and no copy was sent before."""
        ended = {event.handle: event.at for event in self._of["ended"]}
        received = {event.handle: event.at for event in self._of["received"]}
        copies = [event for event in self._of["sent"] if event.applied]
        for event in self._of["deleted"]:
            if not event.applied or ended.get(event.handle, event.at) < event.at:
                continue
            since = received[event.handle]
            if not any(one.key == event.key and one.who == event.who and since < one.at < event.at for one in copies):
                yield event.key

    def _doubled(self) -> Iterable[str]:
        return (key for key, excess in self._excess.items() if excess > len(self._causes[key]))

    @cached_property
    def _excess(self) -> dict[str, int]:
        """Return for each task how many starts nothing that its own code did accounts for."""
        starts = Counter(event.key for event in self._of["started"])
        again = Counter(event.key for what in ("failed", "retried") for event in self._of[what])
        return {key: count - 1 - again[key] for key, count in starts.items()}

    @cached_property
    def _causes(self) -> dict[str, list[Event]]:
        """Return for each task the faults that hit a message of its, or the worker that held one."""
        causes: dict[str, list[Event]] = defaultdict(list)
        for event in self._events:
            if event.fault and event.key and not self._made_good(event):
                causes[event.key].append(event)
        for event in self._of["killed"] + self._of["halted"]:
            for key in self._held_by(event):
                causes[key].append(event)
        return causes

    def _made_good(self, fault: Event) -> bool:
        """Return whether a deletion failed whose worker was heard before the message came back: it had to ask again."""
        if fault.what != "deleted" or fault.applied:
            return False
        again = self._next(self._receives[fault.key], fault.at)
        later = self._next(self._deletions[fault.who], fault.at)
        return later is not None and again is not None and later < again

    @cached_property
    def _receives(self) -> dict[str, list[float]]:
        return _times(self._of["received"], "key")

    @cached_property
    def _deletions(self) -> dict[str, list[float]]:
        return _times((event for event in self._of["deleted"] if not event.fault), "who")

    @staticmethod
    def _next(times: Sequence[float], at: float) -> float | None:
        place = bisect(times, at)
        return times[place] if place < len(times) else None

    def _held_by(self, fault: Event) -> list[str]:
        """Return the task of each message that a worker had received and not settled when it was killed or halted.

        Those, too, that SQS sent to a worker that stood still. A task is named twice of which it held two messages.
        """
        until = self._next(self._went_on[fault.who], fault.at) if fault.what == "halted" else fault.at
        settled = {
            event.handle
            for event in self._of["deleted"] + self._of["released"]
            if event.who == fault.who and event.at < fault.at and event.applied
        }
        return [
            event.key
            for event in self._of["received"]
            if event.who == fault.who and event.handle not in settled and (until is None or event.at <= until)
        ]

    @cached_property
    def _went_on(self) -> dict[str, list[float]]:
        return _times(self._of["went on"], "who")

    def _early(self) -> Iterable[str]:
        due = {event.handle: event.due for event in self._of["received"]}
        return (event.key for event in self._of["started"] if event.clock < due.get(event.handle, 0))

    def _kept(self) -> Iterable[str]:
        """Find messages of workers that were told to end which these last extended, or never spoke of.

        What a worker has asked to delete is done: it stays hidden while that is tried again.
        """
        left = {event.who for event in self._of["killed"] + self._of["died"]}
        told = {event.who for event in self._of["told"]} - left
        last = {
            event.handle: event.what
            for event in self._events
            # SQS refuses the handle of a message that another worker has by now: no matter, unless that was extended.
            if event.what in SETTLING and (event.applied or event.fault or event.what != "extended")
        }
        last |= {event.handle: event.what for event in self._of["deleted"]}
        for event in self._of["received"]:
            if event.who in told and not event.fault and last.get(event.handle, "extended") == "extended":
                yield f"{event.who}: {event.key}"

    def _deaf(self) -> Iterable[str]:
        healed = self._of["healed"][0].at if self._of["healed"] else float("inf")
        left = {event.who for what in ("killed", "told", "died") for event in self._of[what]}
        heard = {event.who for event in self._of["asked"] if event.at > healed}
        return {event.who for event in self._of["ready"]} - left - heard


def _times(events: Iterable[Event], name: str) -> dict[str, list[float]]:
    """Return when something happened, by an attribute of the events."""
    times: dict[str, list[float]] = defaultdict(list)
    for event in events:
        times[getattr(event, name)].append(event.at)
    return times
