"""Whatever happens to workers and network, the history keeps its promises; broken on purpose, it does not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .history.events import Event
from .history.judge import PROMISES, History
from .history.mutants import MUTANTS
from .history.run import Plan, run
from .support.worker import Aws

KEPT: dict[str, list[str]] = {promise: [] for promise in PROMISES}
# One task that takes its worker all the way: every test below changes one thing.
SENT = Event("sent", key="t", at=1)
RECEIVED = Event("received", "w1", "t", "h1", at=2)
STARTED = Event("started", "w1", "t", "h1", clock=3, at=3)
ENDED = Event("ended", "w1", "t", "h1", at=4)
DELETED = Event("deleted", "w1", "t", "h1", at=5)
AGAIN = [
    Event("received", "w2", "t", "h2", at=20),
    Event("started", "w2", "t", "h2", at=21),
    Event("ended", "w2", "t", "h2", at=22),
    Event("deleted", "w2", "t", "h2", at=23),
]
TOLD = Event("told", "w1", at=3)
HALTED = Event("halted", "w1", at=1.5)
HEARD = Event("deleted", "w1", "another", "h9", applied=False, at=6)
THIRD = [replace(event, handle="h3", at=event.at + 10) for event in AGAIN]
TWIN = [replace(RECEIVED, handle="h0"), replace(STARTED, handle="h0")]
LOST = replace(SENT, fault="lost")
WELL = [SENT, RECEIVED, STARTED, ENDED, DELETED]


def broken(*events: Event) -> dict[str, list[str]]:
    """Return the promises that a history breaks."""
    history = History(sorted(events, key=lambda event: event.at))
    return {promise: names for promise, names in history.broken().items() if names}


def fault(what: str, **fields: Any) -> Event:
    return Event(what, "w1", "t", "h1", fault="5xx", applied=False, **fields)


@pytest.mark.parametrize(
    ("events", "found"),
    [
        (WELL, {}),
        ([SENT], {"lost": ["t"]}),
        ([SENT, RECEIVED, STARTED, DELETED, ENDED, replace(DELETED, at=3.5)], {"deleted too soon": ["t"]}),
        ([*WELL, replace(SENT, who="w1", at=4.5)], {}),
        # A copy of somebody else's is no reason to delete, one of its own is.
        ([*AGAIN, SENT, RECEIVED, replace(SENT, who="w2", at=4), DELETED], {"deleted too soon": ["t"]}),
        ([*AGAIN, SENT, RECEIVED, replace(SENT, who="w1", at=4), DELETED], {}),
        ([*WELL, *AGAIN], {"doubled": ["t"]}),
        ([SENT, RECEIVED, STARTED, Event("failed", "w1", "t", "h1", at=4), *AGAIN], {}),
        ([SENT, RECEIVED, STARTED, Event("killed", "w1", at=4), *AGAIN], {}),
        ([SENT, RECEIVED, STARTED, Event("killed", "w3", at=4), *AGAIN], {"doubled": ["t"]}),
        # A lost answer had it sent twice, and both messages were with the worker that was killed.
        ([SENT, LOST, RECEIVED, STARTED, *TWIN, Event("killed", "w1", at=4), *AGAIN, *THIRD], {}),
        ([SENT, LOST, RECEIVED, STARTED, Event("killed", "w1", at=1), *AGAIN, *THIRD], {"doubled": ["t"]}),
        # It came to a worker that stood still; it came to one that had gone on.
        ([SENT, HALTED, RECEIVED, Event("went on", "w1", at=2.5), STARTED, ENDED, DELETED, *AGAIN], {}),
        ([SENT, HALTED, Event("went on", "w1", at=1.8), RECEIVED, STARTED, ENDED, DELETED, *AGAIN], {"doubled": ["t"]}),
        # It was killed when it no longer had the message.
        ([*WELL, Event("killed", "w1", at=6), *AGAIN], {"doubled": ["t"]}),
        ([SENT, RECEIVED, STARTED, ENDED, fault("deleted", at=5), *AGAIN], {}),
        # It was heard once more, and should have asked for that again.
        (
            [SENT, RECEIVED, STARTED, ENDED, fault("deleted", at=5), HEARD, *AGAIN],
            {"doubled": ["t"]},
        ),
        ([SENT, replace(RECEIVED, due=9), STARTED, ENDED, DELETED], {"early": ["t"]}),
        ([SENT, replace(RECEIVED, due=3), STARTED, ENDED, DELETED], {}),
        ([*WELL, TOLD], {}),
        ([SENT, RECEIVED, TOLD, *AGAIN], {"kept": ["w1: t"]}),
        ([SENT, RECEIVED, TOLD, Event("released", "w1", "t", "h1", at=4), *AGAIN], {}),
        (
            [SENT, RECEIVED, TOLD, Event("released", "w1", "t", "h1", at=4), replace(DELETED, what="extended"), *AGAIN],
            {"kept": ["w1: t"]},
        ),
        ([SENT, RECEIVED, STARTED, ENDED, TOLD, fault("deleted", at=5), replace(DELETED, what="extended", at=6)], {}),
        ([SENT, RECEIVED, HALTED, TOLD, *AGAIN, replace(DELETED, applied=False, at=30)], {}),
        ([Event("ready", "w1"), Event("asked", "w1", at=1), Event("healed", at=2)], {"deaf": ["w1"]}),
        ([Event("ready", "w1"), Event("asked", "w1", at=3), Event("healed", at=2)], {}),
        ([Event("died", "w1")], {"dead": ["w1"]}),
    ],
)
def test_checker_finds_what_is_wrong_and_nothing_else(events: list[Event], found: dict[str, list[str]]) -> None:
    assert broken(*events) == found


@pytest.mark.slow
def test_history_under_faults_keeps_every_promise(aws: Aws, tmp_path: Path) -> None:
    plan = Plan(seed=7, tasks=300, seconds=50, workers=3, every_seconds=4, longest_halt=15)
    history = run(plan, aws, tmp_path)
    assert history.broken() == KEPT
    assert history.figures()["processes killed, halted, ended"] >= 3
    assert history.figures()["requests broken"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_transport_broken_on_purpose_is_found_out(mutant: str, aws: Aws, tmp_path: Path) -> None:
    _, promise, fault = MUTANTS[mutant]
    plan = Plan(tasks=150, seconds=12, workers=2, faults=(fault,), every_seconds=2, visibility=5, quiet_seconds=20)
    assert run(replace(plan, mutant=mutant), aws, tmp_path).broken()[promise]
