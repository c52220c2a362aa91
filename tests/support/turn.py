"""The turn at a task of upkeep, which tests and the service's own metric worker take from each other."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from detection.work import task_lease
from tests.support.processes import wait_until


@contextmanager
def held(*tasks: str) -> Iterator[None]:
    """Keep everybody else from these tasks for the length of the block.

    Dead letters are read by two: "bury", and deletions, whose second part "sweep" begins.
    """

    def take() -> ExitStack | None:
        with ExitStack() as stack:
            mine = [stack.enter_context(task_lease.take(task, timedelta(minutes=5))) for task in tasks]
            return stack.pop_all() if all(mine) else None

    turn = wait_until(take)
    assert turn is not None
    with turn:
        yield
