"""The state of the whole system around one photo, and which promises it breaks or keeps."""

from typing import Literal, NamedTuple

from tests.model.writes import FINISHED, Item

SLOTS = 2


class Message(NamedTuple):
    """A job in SQS; its place in the state is its job's id. `round` is the round of work that it was sent for."""

    where: Literal["gone", "visible", "hidden", "dead"] = "gone"
    round: int = 0


class Worker(NamedTuple):
    """got -> (saw ->) claimed -> stored -> done. `attempts` and `round` are those of its claim, or what it saw."""

    phase: str = "idle"
    job: int = 0
    attempts: int = 0
    round: int = 0


class Site(NamedTuple):
    """leased -> sent; `unsure` has lost Telegram's reply, `late` has sent and lost its lease since."""

    phase: str = "idle"
    lease: int = 0
    answer: int = 0


class State(NamedTuple):
    """The whole system. `credit` is how many more answers each round of work may get; it never falls below 0."""

    item: Item | None = None
    update: bool = True
    messages: tuple[Message, ...] = (Message(),) * SLOTS
    workers: tuple[Worker, ...] = (Worker(), Worker())
    sites: tuple[Site, ...] = (Site(), Site())
    sweep_saw: int = 0
    operator: tuple[str, int] = ("idle", 0)
    picture: bool = False
    deleted: bool = False
    credit: tuple[int, ...] = (1, 1)
    said: tuple[bool, ...] = (False, False)
    faults: int = 0
    acts: int = 0
    wrong: str = ""


# What an operator can act on: the webhook's part is over.
ACCEPTED = State(item=Item(noted=True), update=False, messages=(Message("visible", 1), *(Message(),) * (SLOTS - 1)))


def broken(state: State) -> str | None:
    """Return which promise a state breaks."""
    item = state.item
    if state.wrong:
        return state.wrong
    if min(state.credit) < 0:
        return "a photo was answered twice although no reply was lost"
    if item and item.delivery == "delivered" and not state.said[item.round - 1]:
        return "an answer counts as delivered and was never sent"
    return None


def settled(state: State) -> bool:
    """Return whether nothing more is owed: the photo is answered, or deleted without a trace."""
    if state.deleted:
        return not state.picture
    item = state.item
    return bool(item and item.status in FINISHED and item.delivery == "delivered")
