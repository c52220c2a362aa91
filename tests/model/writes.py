"""The conditional writes of predictions.py and deliveries.py, as functions from an item to the next; None is refused.

tests/detection/test_state_machine.py holds them against the real ones. Times are left out: a lease is live or has
expired, and an answer is known by the round of work that it ends.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Status = Literal["queued", "processing", "succeeded", "failed"]
Delivery = Literal["pending", "delivering", "delivered", "undeliverable"]
FINISHED = ("succeeded", "failed")
OPEN = ("pending", "delivering")


class Item(NamedTuple):
    """What the protocol looks at. `lease` is 0 before anybody claims the delivery, `answer` until it is finished."""

    status: Status = "queued"
    attempts: int = 0
    job: int = 0
    noted: bool = False
    delivery: Delivery = "pending"
    lease: int = 0
    expired: bool = False
    answer: int = 0
    round: int = 1


@dataclass(frozen=True)
class Rules:
    """Which fixes are in. Without one, the exploration has to find the defect that it was made for."""

    finish_knows_its_answer: bool = True
    reopen_waits_for_the_lease: bool = True
    attempts_only_rise: bool = True
    sweep_fails_what_it_saw: bool = True
    reopen_forgets_the_job: bool = True
    deleted_twice: bool = True


def claim(item: Item, job: int) -> Item | None:
    """Take a queued photo."""
    if item.status != "queued":
        return None
    return item._replace(status="processing", attempts=item.attempts + 1, job=job)


def take_over(item: Item, job: int, seen: int) -> Item | None:
    """Take a photo whose holder died."""
    if item.status != "processing" or item.attempts != seen:
        return None
    return item._replace(attempts=item.attempts + 1, job=job)


def give_back(item: Item, attempts: int) -> Item | None:
    """Return a claim."""
    if item.status != "processing" or item.attempts != attempts:
        return None
    return item._replace(status="queued")


def succeed(item: Item, attempts: int) -> Item | None:
    """Store a result."""
    if item.status != "processing" or item.attempts != attempts:
        return None
    return item._replace(status="succeeded", answer=item.round)


def fail(item: Item, seen: int | None = None) -> Item | None:
    """End a photo with an apology; with `seen`, only the attempt that was seen."""
    if item.status in FINISHED or (seen is not None and (item.status, item.attempts) != ("processing", seen)):
        return None
    return item._replace(status="failed", answer=item.round)


def reopen(item: Item, rules: Rules) -> Item | None:
    """Have a failed photo worked on again."""
    if item.status != "failed":
        return None
    if rules.reopen_waits_for_the_lease and item.delivery == "delivering" and not item.expired:
        return None
    return item._replace(
        status="queued",
        attempts=item.attempts if rules.attempts_only_rise else 0,
        noted=not rules.reopen_forgets_the_job,
        delivery="pending",
        lease=0,
        expired=False,
        answer=0,
        round=item.round + 1,
    )


def reopen_delivery(item: Item) -> Item | None:
    """Have an answer sent again."""
    if item.status not in FINISHED or item.delivery in OPEN:
        return None
    return item._replace(delivery="pending", lease=0, expired=False)


def claim_delivery(item: Item, lease: int) -> Item | None:
    """Take the right to send."""
    if item.status not in FINISHED or item.delivery not in OPEN:
        return None
    if item.delivery == "delivering" and not item.expired:
        return None
    return item._replace(delivery="delivering", lease=lease, expired=False)


def release_delivery(item: Item, lease: int) -> Item | None:
    """Give the right to send back."""
    if item.delivery != "delivering" or item.lease != lease:
        return None
    return item._replace(delivery="pending", expired=False)


def finish_delivery(item: Item, answer: int, to: Delivery, rules: Rules) -> Item | None:
    """Record what became of an answer."""
    if item.delivery not in OPEN:
        return None
    if rules.finish_knows_its_answer and (not item.lease or item.answer != answer):
        return None
    return item._replace(delivery=to, expired=False)
