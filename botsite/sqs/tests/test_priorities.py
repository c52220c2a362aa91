"""A queue that is less urgent waits while there is something in those above it."""

import threading
from pathlib import Path

import pytest

from ..options import Options
from ..priorities import Turns
from .support.app import make_app
from .support.processes import wait_until
from .support.worker import Aws, running_worker

GOING = threading.Event()
JOBS = 20


def turns(**priorities: int) -> Turns:
    """Return turns of queues that are all received from."""
    found = Turns(Options(priorities=priorities))
    for queue in priorities:
        found.join(queue)
    return found


def test_lower_queue_waits_until_higher_one_is_silent() -> None:
    some = turns(high=0, low=0)
    assert some.begin("low", 10, GOING) == 0
    some.asked("high")
    some.answered("high", 10, failed=False)
    assert some.begin("low", 10, GOING) == 0
    some.asked("high")
    assert wait_until(lambda: some.begin("low", 10, GOING)) == 10
    assert some.begin("high", 10, GOING) == 10


def test_queue_without_priority_waits_for_nobody() -> None:
    assert turns(high=0).begin("other", 10, GOING) == 10


def test_queue_that_fails_or_is_not_received_holds_up_nobody() -> None:
    some = turns(high=0, low=0)
    some.asked("high")
    some.answered("high", 0, failed=True)
    assert some.begin("low", 10, GOING) == 10
    some.asked("high")
    some.leave("high")
    assert some.begin("low", 10, GOING) == 10


def test_lower_queue_is_let_in_after_so_many_messages() -> None:
    some = turns(high=0, middle=0, low=20)
    for queue in ("high", "middle"):
        assert some.begin("low", 10, GOING) == 0
        some.asked(queue)
        some.answered(queue, 10, failed=False)
    assert some.begin("low", 10, GOING) == 1
    assert some.begin("middle", 10, GOING) == 0
    some.asked("low")
    assert some.begin("low", 10, GOING) == 0


def test_stopped_receiver_waits_for_no_turn() -> None:
    leaving = threading.Event()
    leaving.set()
    assert turns(high=0, low=0).begin("low", 10, leaving) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("let_in", "waits"), [(0, True), (5, False)])
def test_worker_empties_urgent_queue_first(let_in: int, waits: bool, aws: Aws, tmp_path: Path) -> None:
    queues = {"bulk": aws.queue(), "urgent": aws.queue()}
    for queue in queues:
        for _ in range(JOBS):
            make_app(queues).send_task("note", (queue,), queue=queue)
    sqs = {"priorities": {"urgent": 0, "bulk": let_in}}
    with running_worker(aws, tmp_path, aws.url, sqs=sqs, queues=queues, worker_concurrency=1) as worker:
        wait_until(lambda: worker.notes.read_text().count("bulk") == JOBS)
        wait_until(lambda: not any(map(aws.depth, queues.values())))
    ran = [line.split()[1] for line in worker.notes.read_text().splitlines()]
    assert sorted(ran) == ["bulk"] * JOBS + ["urgent"] * JOBS
    assert (ran[:JOBS] == ["urgent"] * JOBS) == waits
    assert ran.index("urgent") < ran.index("bulk")
