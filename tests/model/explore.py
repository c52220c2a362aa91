"""Visit every state that a protocol can reach, breadth first: the first way to a broken promise is a shortest one."""

from collections import deque
from dataclasses import dataclass

from tests.model import states
from tests.model.protocol import Protocol
from tests.model.states import State


class BrokenPromise(AssertionError):
    """A promise can be broken; the text is the way there."""


@dataclass(frozen=True)
class Explored:
    """How much there was to see."""

    states: int
    steps: int


def explore(of: Protocol, start: State) -> Explored:
    """Visit all states. Raise BrokenPromise for one that breaks a promise, or from which no answer can be reached."""
    came: dict[State, tuple[State, str] | None] = {start: None}
    into: dict[State, list[State]] = {}
    waiting = deque([start])
    steps = 0
    while waiting:
        state = waiting.popleft()
        for name, kind, after in of.steps(state):
            steps += 1
            if after not in came:
                came[after] = (state, name)
                waiting.append(after)
                if broken := states.broken(after):
                    raise BrokenPromise(_way(came, after, broken))
            if kind == "progress":
                into.setdefault(after, []).append(state)
    lost = set(came) - _leading_to_an_end(came, into)
    if lost:
        first = next(state for state in came if state in lost)
        raise BrokenPromise(_way(came, first, f"from {len(lost)} states no answer can be reached"))
    return Explored(len(came), steps)


def _leading_to_an_end(came: dict[State, tuple[State, str] | None], into: dict[State, list[State]]) -> set[State]:
    """Return the states from which, without another fault or an operator, everything ends well."""
    good = {state for state in came if states.settled(state)}
    waiting = list(good)
    while waiting:
        for before in into.get(waiting.pop(), ()):
            if before not in good:
                good.add(before)
                waiting.append(before)
    return good


def _way(came: dict[State, tuple[State, str] | None], state: State, end: str) -> str:
    names = []
    at: State | None = state
    while at is not None and (step := came[at]) is not None:
        at, name = step
        names.append(name)
    return "\n  ".join([f"{end}:", *reversed(names), repr(state)])
