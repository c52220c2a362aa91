"""Receiving pauses while jobs fail in a row, and resumes when one succeeds."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..options import Options
from ..priorities import Turns
from ..receiving import RECEIVING, Pauses
from ..threads import Receiver
from .support.processes import PATIENCE_SECONDS, wait_until

ERROR = ConnectionError("not today")
IN_WORK = 16
OPTIONS = Options()


def outage() -> Pauses:
    """Return the state after every job in work has failed, at second 0."""
    pauses = Pauses()
    for _ in range(IN_WORK):
        pauses.failed(0)
    return pauses


def test_two_failures_do_not_pause_receiving() -> None:
    pauses = Pauses()
    assert [pauses.failed(0) for _ in range(OPTIONS.failures_before_pause - 1)] == [0, 0]
    assert pauses.allowed(0, 10, under_way=3) == 10


def test_options_decide_when_and_how_long_receiving_pauses() -> None:
    pauses = Pauses(options=Options(failures_before_pause=1, first_pause_seconds=2, longest_pause_seconds=3))
    assert pauses.failed(0) == 2
    pauses.arrived(2, "probe")
    assert pauses.failed(2) == 3


def test_success_between_failures_resets_count() -> None:
    pauses = Pauses()
    for _ in range(10):
        pauses.failed(0)
        pauses.failed(0)
        pauses.worked()
    assert pauses.allowed(0, 10, 0) == 10


def test_jobs_in_work_do_not_lengthen_pause() -> None:
    pauses = outage()
    assert (pauses.allowed(4.9, 10, 0), pauses.allowed(5, 10, 0)) == (0, 1)
    assert pauses.failed(6) == 0
    assert pauses.allowed(6, 10, 0) == 1


def test_pauses_double_up_to_a_minute() -> None:
    pauses, now, seconds = outage(), 5.0, []
    for number in range(7):
        assert pauses.allowed(now, 10, 0) == 1
        pauses.arrived(now, str(number))
        assert pauses.allowed(now, 10, 0) == 0
        seconds.append(pauses.failed(now))
        now += seconds[-1]
    assert seconds == [10, 20, 40, 60, 60, 60, 60]


def test_successful_probe_ends_outage() -> None:
    pauses = outage()
    pauses.arrived(5, "probe")
    pauses.worked()
    assert pauses.allowed(5, 10, 3) == 10
    assert pauses.failed(6) == 0


def test_probe_without_verdict_is_followed_by_another() -> None:
    pauses = outage()
    pauses.arrived(5, "probe")
    pauses.settled("somebody else's")
    assert pauses.allowed(6, 10, 0) == 0
    pauses.settled("probe")
    assert pauses.allowed(6, 10, 0) == 1


def test_receive_in_flight_may_bring_probe() -> None:
    assert outage().allowed(5, 10, under_way=1) == 0


@given(st.lists(st.tuples(st.sampled_from(["failed", "worked", "arrived", "settled", "wait"]), st.integers(0, 70))))
def test_receiving_resumes_within_pause_and_probe(acts: list[tuple[str, int]]) -> None:
    pauses, now = Pauses(), 0.0
    for act, number in acts:
        match act:
            case "failed":
                assert pauses.failed(now) <= OPTIONS.longest_pause_seconds
            case "worked":
                pauses.worked()
                assert pauses.allowed(now, 10, 0) == 10
            case "arrived" if pauses.allowed(now, 10, 0):
                pauses.arrived(now, str(number))
            case "settled":
                pauses.settled(str(number))
            case "wait":
                now += number
    if pauses.probe:
        pauses.settled(pauses.probe)
    assert pauses.allowed(now + OPTIONS.longest_pause_seconds, 10, 0) >= 1


@pytest.fixture
def paused() -> Iterator[None]:
    for _ in range(OPTIONS.failures_before_pause):
        RECEIVING.failed(ERROR)
    yield
    RECEIVING.worked()


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, threading.Event]]:
    """Return a receiver of an empty queue, and an event set once it has received."""
    received = threading.Event()
    request = {"WaitTimeSeconds": 0}

    def receive(**_: object) -> dict[str, object]:
        received.set()
        return {}

    receiver = Receiver("jobs", receive, request, lambda *_: 10, lambda *_: None, Turns(OPTIONS), OPTIONS)
    yield receiver, received
    receiver.stop()
    receiver.join()


def test_paused_receiver_counts_as_alive(paused: None, receiver: tuple[Receiver, threading.Event]) -> None:
    thread, received = receiver
    started = time.monotonic()
    wait_until(lambda: thread.last_receive > started + 1)
    assert not received.is_set()
    RECEIVING.worked()
    assert received.wait(PATIENCE_SECONDS)


def test_receiver_asks_whether_it_may_receive() -> None:
    closed = threading.Event()
    closed.set()
    RECEIVING.stop_while(closed.is_set)
    try:
        assert RECEIVING.begin(10, leaving()) == 0
        closed.clear()
        assert RECEIVING.begin(10, threading.Event()) == 10
        RECEIVING.end()
    finally:
        RECEIVING.stop_while(lambda: False)


def test_idle_receiver_says_so() -> None:
    said: list[str] = []
    RECEIVING.when_idle(lambda: said.append("idle"))
    try:
        RECEIVING.arrived(["one"])
        RECEIVING.nothing_arrived()
        assert said == []
        RECEIVING.settled("one")
        RECEIVING.nothing_arrived()
        assert said == ["idle"]
    finally:
        RECEIVING.when_idle(lambda: None)


def leaving() -> threading.Event:
    """Return the sign of a receiver that is to end, so that nobody waits for another look."""
    event = threading.Event()
    event.set()
    return event


def test_messages_count_as_held_until_settled() -> None:
    before = RECEIVING.held()
    RECEIVING.arrived(["one", "two"])
    assert RECEIVING.held() == before + 2
    for handle in ("one", "one", "two"):
        RECEIVING.settled(handle)
    assert RECEIVING.held() == before


def test_stopping_without_channel_does_not_wait() -> None:
    with RECEIVING.stopped(), RECEIVING.stopped():
        assert RECEIVING.begin(10, threading.Event()) == 0
    assert RECEIVING.held() == 0
