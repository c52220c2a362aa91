"""Background threads survive exceptions, and are reported if they end early."""

import threading
from pathlib import Path

import pytest

from .. import loops
from ..loops import Loop
from ..options import Options
from ..watchdog import Signs, Watchdog
from .support.processes import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "PAUSE_SECONDS", 0.01)


def test_exceptions_are_survived() -> None:
    turns = iter([RuntimeError("changed size"), MemoryError(), None])

    def turn() -> bool:
        error = next(turns)
        if error:
            raise error
        return True

    loop = Loop("survivor", turn)
    loop.start()
    loop.join(PATIENCE_SECONDS)
    assert not loop.is_alive()
    assert next(turns, "all taken") == "all taken"
    assert loops.dead() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dead_thread_is_reported() -> None:
    def turn() -> None:
        raise SystemExit

    loop = Loop("victim", turn)
    loop.start()
    loop.join(PATIENCE_SECONDS)
    assert loops.dead() == ["victim"]
    loops._loops.discard(loop)


def test_trouble_names_dead_threads() -> None:
    assert "heartbeat" in str(Signs(1, 5, 0, dead_threads=["heartbeat"]).trouble(Options()))


def test_unreadable_signs_are_trouble(tmp_path: Path) -> None:
    def signs() -> Signs:
        raise RuntimeError("no channel")

    watchdog = Watchdog(signs, Options(liveness_file=tmp_path / "alive", stalled_seconds=0))
    assert "no channel" in str(watchdog.look())
    assert not (tmp_path / "alive").exists()


def test_worker_that_stood_still_may_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    watchdog = Watchdog(lambda: Signs(loop_age=70, receive_age=70, oldest_job_age=70), Options())
    found = []
    # A minute and more of nothing at all, and then of trouble.
    for seconds in (70, *[2] * 31):
        now[0] += seconds
        found.append(watchdog.look())
    assert found[:-1] == [None] * 31
    assert "has not turned for 70 s" in str(found[-1])


def test_watchdog_survives_untouchable_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    looks = threading.Semaphore(0)

    def signs() -> Signs:
        looks.release()
        return Signs(1, 5, 0)

    watchdog = Watchdog(signs, Options(liveness_file=tmp_path / "file" / "alive"))
    watchdog.start()
    assert looks.acquire(timeout=PATIENCE_SECONDS)
    assert looks.acquire(timeout=PATIENCE_SECONDS)
    watchdog.stopped.set()
    watchdog.join(PATIENCE_SECONDS)
    assert not watchdog.is_alive()
