"""Who may do what next: two workers, two sites, the sweep, an operator and SQS, around one photo.

Each step is one conditional write, one call of SQS or S3, or one send; a crash is possible between any two. Faults and
an operator's acts are limited in number, which keeps the states finite.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.model import changes, faults, writes
from tests.model.states import Message, State
from tests.model.writes import FINISHED, Item, Rules

Kind = Literal["progress", "fault", "operator"]
ALL_FIXES = Rules()
Step = tuple[str, Kind, State]


@dataclass(frozen=True)
class Protocol:
    """The steps that are possible, under given rules and limits. `busy`: the queue always holds other people's jobs."""

    rules: Rules = ALL_FIXES
    faults: int = 1
    acts: tuple[str, ...] = ()
    busy: bool = False

    def steps(self, state: State) -> Iterator[Step]:
        """Yield what may happen next."""
        yield from _webhook(state)
        for number in range(len(state.workers)):
            yield from _worker(state, number)
        for number in range(len(state.sites)):
            yield from self._site(state, number)
        yield from _queue(state)
        yield from self._sweep(state)
        if state.faults < self.faults:
            for name, after in faults.possible(state, self.busy):
                yield name, "fault", after._replace(faults=state.faults + 1)
        yield from self._operator(state)

    def _site(self, state: State, number: int) -> Iterator[Step]:
        site, item = state.sites[number], state.item
        if site.phase == "idle":
            lease = min({1, 2, 3} - {item.lease if item else 0, *(other.lease for other in state.sites)})
            if item and (after := writes.claim_delivery(item, lease)):
                yield (
                    "claim delivery",
                    "progress",
                    changes.site(state._replace(item=after), number, "leased", lease, after.answer),
                )
        elif site.phase == "leased":
            yield "send", "progress", changes.sent(state, number, "sent")
            after = item and writes.release_delivery(item, site.lease)
            yield "Telegram refuses for now", "progress", changes.site(state._replace(item=after or item), number)
        elif site.phase == "unsure":
            after = item and writes.release_delivery(item, site.lease)
            yield "release", "progress", changes.site(state._replace(item=after or item), number)
        else:
            after = item and writes.finish_delivery(item, site.answer, "delivered", self.rules)
            yield "finish delivery", "progress", changes.site(state._replace(item=after or item), number)

    def _sweep(self, state: State) -> Iterator[Step]:
        item = state.item
        if state.sweep_saw:
            seen = state.sweep_saw if self.rules.sweep_fails_what_it_saw else None
            after = item and writes.fail(item, seen)
            wrong = "the sweep gave up a try that it had not seen" if _other(after, item, state.sweep_saw) else ""
            yield "sweep: give up", "progress", state._replace(item=after or item, sweep_saw=0, wrong=wrong)
        if item is None:
            return
        if (
            item.status == "queued"
            and (not item.noted or (not self.busy and _nothing_under_way(state)))
            and not state.update
        ):
            yield from _send(state, "sweep: resend")
        if item.status == "processing" and not _held(state):
            yield from _send(state, "sweep: take over")
            if item.attempts > 1 and not state.sweep_saw:
                yield "sweep: sees too many tries", "progress", state._replace(sweep_saw=item.attempts)

    def _operator(self, state: State) -> Iterator[Step]:
        item, (phase, job) = state.item, state.operator
        if phase == "idle" and item and state.acts < bool(self.acts):
            used = state._replace(acts=state.acts + 1)
            if "reopen" in self.acts and (after := writes.reopen(item, self.rules)):
                yield "operator: reopen", "operator", used._replace(item=after, operator=("reopened", 0))
                for number, message in enumerate(state.messages):
                    if message.where == "dead":
                        yield (
                            "operator: replay",
                            "operator",
                            used._replace(item=after, operator=("replays", number + 1)),
                        )
            if "resend" in self.acts and (after := writes.reopen_delivery(item)):
                yield "operator: resend", "operator", changes.credit(used._replace(item=after), item.round)
            if "delete" in self.acts:
                yield "operator: delete pictures", "operator", used._replace(picture=False, operator=("deletes", 0))
        elif phase == "reopened":
            yield from _send(state._replace(operator=("idle", 0)), "operator: send")
        elif phase == "replays":
            round_ = item.round if item else 0
            put_back = changes.message(state, job - 1, Message("visible", round_))
            yield "operator: put back", "progress", put_back._replace(operator=("idle", 0))
        elif phase == "deletes":
            then = ("deleted", 0) if self.rules.deleted_twice else ("idle", 0)
            yield "operator: delete item", "progress", state._replace(item=None, deleted=True, operator=then)
        elif phase == "deleted":
            yield "operator: delete picture again", "progress", state._replace(picture=False, operator=("idle", 0))


def _webhook(state: State) -> Iterator[Step]:
    """Telegram delivers the update until it is told that all is durable."""
    item = state.item
    if not state.update:
        return
    if item is None and not state.deleted:
        yield "create", "progress", state._replace(item=Item())
    elif item is None or item.noted or item.status in FINISHED:
        yield "acknowledge update", "progress", state._replace(update=False)
    else:
        yield from _send(state, "send job")


def _worker(state: State, number: int) -> Iterator[Step]:
    worker, item = state.workers[number], state.item
    if worker.phase == "idle":
        for place, message in enumerate(state.messages):
            if message.where == "visible":
                got = changes.message(state, place, message._replace(where="hidden"))
                yield "receive", "progress", changes.working(got, number, "got", place + 1)
    elif worker.phase == "got":
        yield _claim(state, number)
    elif worker.phase == "saw":
        after = item and writes.take_over(item, worker.job, worker.attempts)
        yield "take over", "progress", _claimed(state, number, after)
    elif worker.phase == "claimed":
        yield "put picture", "progress", changes.working(state._replace(picture=True), number, "stored", *worker[1:])
        after = item and writes.fail(item, worker.attempts)
        yield "unreadable", "progress", changes.working(state._replace(item=after or item), number, "done", worker.job)
    elif worker.phase == "stored":
        after = item and writes.succeed(item, worker.attempts)
        then = "done" if item else "cleans"
        wrong = "a worker of an earlier round ended a later one" if after and after.round != worker.round else ""
        ended = state._replace(item=after or item, wrong=wrong)
        yield "succeed", "progress", changes.working(ended, number, then, worker.job)
    elif worker.phase == "cleans":
        yield "remove picture", "progress", changes.working(state._replace(picture=False), number, "done", worker.job)
    else:
        message = state.messages[worker.job - 1]
        gone = message if message.where == "dead" else Message()
        yield "delete message", "progress", changes.working(changes.message(state, worker.job - 1, gone), number)


def _claim(state: State, number: int) -> Step:
    worker, item = state.workers[number], state.item
    if item is None:
        return "no item", "progress", changes.working(state, number, "cleans", worker.job)
    if after := writes.claim(item, worker.job):
        return "claim", "progress", _claimed(state, number, after)
    if item.status == "processing" and (item.job == worker.job or not _held(state)):
        return "sees a dead holder", "progress", changes.working(state, number, "saw", worker.job, item.attempts)
    return "nothing to do", "progress", changes.working(state, number, "done", worker.job)


def _claimed(state: State, number: int, after: Item | None) -> State:
    job = state.workers[number].job
    if after is None:
        return changes.working(state, number, "done", job)
    return changes.working(state._replace(item=after), number, "claimed", job, after.attempts, after.round)


def _queue(state: State) -> Iterator[Step]:
    """Time passes: what nobody holds becomes visible, and leases of senders that died run out."""
    held = {worker.job for worker in state.workers}
    for place, message in enumerate(state.messages):
        if message.where == "hidden" and place + 1 not in held:
            yield "visible again", "progress", changes.message(state, place, message._replace(where="visible"))
        if message.where == "dead" and state.item and message.round == state.item.round and _only(state, place):
            after = writes.fail(state.item)
            if after:
                yield "bury", "progress", state._replace(item=after)
    item = state.item
    if item and item.delivery == "delivering" and not item.expired and not _sending(state, item.lease):
        yield "lease runs out", "progress", state._replace(item=item._replace(expired=True))


def _send(state: State, name: str) -> Iterator[Step]:
    """Send a job and note it, in two steps. SQS has room for any number; here it waits for one of the places."""
    assert state.item
    for place, message in enumerate(state.messages):
        if message.where in ("gone", "dead") and all(worker.job != place + 1 for worker in state.workers):
            sent = changes.message(state, place, Message("visible", state.item.round))
            yield name, "progress", sent._replace(item=state.item._replace(noted=True))
            if not state.item.noted:
                yield f"{name}, not noted", "progress", sent
            return


def _other(after: Item | None, item: Item | None, saw: int) -> bool:
    """Return whether a write hit an attempt other than the one that was seen."""
    return bool(after and item and item.attempts != saw)


def _only(state: State, place: int) -> bool:
    """Return whether no newer job is under way than the dead letter at this place."""
    return all(other.where in ("gone", "dead") for at, other in enumerate(state.messages) if at != place)


def _nothing_under_way(state: State) -> bool:
    return all(message.where in ("gone", "dead") for message in state.messages)


def _held(state: State) -> bool:
    """Return whether a living worker holds the claim that the item names."""
    assert state.item
    holds = [worker for worker in state.workers if worker.phase in ("claimed", "stored")]
    return any(worker.attempts == state.item.attempts for worker in holds)


def _sending(state: State, lease: int) -> bool:
    return any(site.lease == lease and site.phase != "idle" for site in state.sites)
