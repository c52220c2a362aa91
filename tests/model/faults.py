"""What may go wrong: processes die, replies are lost, messages come twice or never."""

from collections.abc import Iterator

from tests.model import changes, writes
from tests.model.states import Message, State


def possible(state: State, busy: bool) -> Iterator[tuple[str, State]]:
    """Yield each fault that may happen now, and the state after it."""
    for number, worker in enumerate(state.workers):
        if worker.phase != "idle":
            yield "worker dies", changes.working(state, number)
        if worker.phase in ("claimed", "stored") and state.item:
            after = writes.give_back(state.item, worker.attempts)
            back = changes.message(state, worker.job - 1, state.messages[worker.job - 1]._replace(where="visible"))
            yield "AWS fails: give back", changes.working(back._replace(item=after or state.item), number)
    for number, site in enumerate(state.sites):
        if site.phase == "sent":
            yield "site dies after sending", changes.credit(changes.site(state, number), site.answer)
            if state.item and state.item.lease == site.lease and state.item.delivery == "delivering":
                late = state._replace(item=state.item._replace(expired=True))
                yield (
                    "lease runs out before it is recorded",
                    changes.credit(changes.site(late, number, "late", *site[1:]), site.answer),
                )
        elif site.phase != "idle":
            yield "site dies", changes.site(state, number)
        if site.phase == "leased":
            yield "reply of the send is lost", changes.credit(changes.sent(state, number, "unsure"), site.answer)
    for place, message in enumerate(state.messages):
        if message.where == "hidden":
            yield "visible although held", changes.message(state, place, message._replace(where="visible"))
        if message.where == "visible":
            yield "dead letter", changes.message(state, place, message._replace(where="dead"))
            if not busy:  # While there are other jobs, it may be one of them.
                yield "message is lost", changes.message(state, place, Message())
    # After the item, a picture that is left is deleted by the bucket's lifecycle: that is as long as photos are kept.
    if state.operator[0] not in ("idle", "deleted"):
        yield "operator's process dies", state._replace(operator=("idle", 0))
    if state.sweep_saw:
        yield "sweep dies", state._replace(sweep_saw=0)
