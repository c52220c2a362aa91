"""The protocol, explored whole: at most one answer, and from every state a way to one. Each fix is needed."""

import pytest

from tests.model.explore import BrokenPromise, explore
from tests.model.protocol import Protocol
from tests.model.states import ACCEPTED, State
from tests.model.writes import Rules
from tests.support.cases import slow_after

# What each exploration is about, and the states that it has: a protocol that changed is looked at again.
WEBHOOK = Protocol()
REOPEN = Protocol(acts=("reopen",), busy=True)
RESEND = Protocol(acts=("resend",))
DELETE = Protocol(acts=("delete",))


def test_any_one_fault_leaves_a_way_to_one_answer() -> None:
    assert explore(WEBHOOK, State()).states > 20_000


@pytest.mark.parametrize("protocol", slow_after(2, [RESEND, DELETE, REOPEN]), ids=["resend", "delete", "reopen"])
def test_operator_and_one_fault_leave_a_way_to_one_answer(protocol: Protocol) -> None:
    explored = explore(protocol, ACCEPTED)
    assert explored.states > 2_000


@pytest.mark.parametrize(
    ("fix", "acts", "promise"),
    [
        ("finish_knows_its_answer", "reopen", "counts as delivered and was never sent"),
        ("attempts_only_rise", "reopen", "a worker of an earlier round ended a later one"),
        ("sweep_fails_what_it_saw", "reopen", "gave up a try that it had not seen"),
        ("reopen_forgets_the_job", "reopen", "no answer can be reached"),
        ("deleted_twice", "delete", "no answer can be reached"),
    ],
)
def test_defect_is_found_without_its_fix(fix: str, acts: str, promise: str) -> None:
    unfixed = Protocol(Rules(**{fix: False}), acts=(acts,), busy=True)
    with pytest.raises(BrokenPromise, match=promise):
        explore(unfixed, ACCEPTED)


def test_retry_during_apology_needs_both_fixes() -> None:
    rules = Rules(finish_knows_its_answer=False, reopen_waits_for_the_lease=False)
    with pytest.raises(BrokenPromise, match="never sent") as found:
        explore(Protocol(rules, faults=0, acts=("reopen",)), ACCEPTED)
    assert "send\n  operator: reopen\n  finish delivery" in str(found.value)
