"""The trials; each returns figures of one peer by the names of their rows."""

import time
from collections.abc import Callable, Mapping

from .bout import Bout, kill, megabytes, waited
from .region import FAULTS

DOLLARS_PER_REQUEST = 0.4 / 1e6  # https://aws.amazon.com/sqs/pricing/, the first tier of a standard queue
PATIENCE_SECONDS = 300.0
IDLE_SECONDS = 60.0
FAULT_SECONDS = 3.0
BACK_SECONDS = 30.0  # From the end of a fault; whoever needs longer has not survived it.
Figures = dict[str, str]


def rate(bout: Bout, count: int, seconds: float, what: str) -> Figures:
    """Have a full queue worked off."""
    bout.send(0, count, seconds)
    before = bout.region.counts.total()
    with bout.worker() as process:
        done = bout.ended(0, count, PATIENCE_SECONDS) and bout.empty(PATIENCE_SECONDS)
        memory = megabytes(process)
    if not done:
        return {f"jobs/s of {what}": "not all ran"}
    times = [event.at for event in bout.events()]
    requests = (bout.region.counts.total() - before) / count
    return {
        f"jobs/s of {what}": f"{count / (max(times) - min(times)):.1f}",
        f"requests a job of {what}": f"{requests:.2f}",
        f"dollars a million jobs of {what}": f"{requests * 1e6 * DOLLARS_PER_REQUEST:.2f}",
        f"MB after jobs of {what}": f"{memory:.0f}",
    }


def long_jobs(bout: Bout) -> Figures:
    """Run tasks that wait for something."""
    return rate(bout, 800, 0.2, "200 ms")


def short_jobs(bout: Bout) -> Figures:
    """Run tasks that are over soon."""
    return rate(bout, 2000, 0.02, "20 ms")


def idle(bout: Bout) -> Figures:
    """Have nothing to do."""
    with bout.worker():
        bout.send(0, 1, 0)
        bout.ended(0, 1, PATIENCE_SECONDS)
        before = bout.region.counts["ReceiveMessage"]
        time.sleep(IDLE_SECONDS)
        receives = bout.region.counts["ReceiveMessage"] - before
    return {"receives an idle minute": f"{receives * 60 / IDLE_SECONDS:.0f}"}


def visibility(bout: Bout) -> Figures:
    """Run a task that takes as long as three visibility timeouts."""
    seconds = 3 * bout.visibility
    with bout.worker():
        bout.send(0, 1, seconds)
        ended = bout.ended(0, 1, PATIENCE_SECONDS)
        # What was started once more ends, too, and may be started again.
        bout.empty(2 * seconds)
    return {"starts of a job of three visibility timeouts": str(bout.counted("start")[0]) if ended else "it never ran"}


def killed(bout: Bout, count: int = 1000) -> Figures:
    """Kill the worker twice, and start another."""
    bout.send(0, count, 0.02)
    for share in (0.2, 0.5):
        with bout.worker() as process:
            waited(lambda enough=share * count: len(bout.counted("end")) >= enough, PATIENCE_SECONDS)  # type: ignore[misc]
            kill(process)
    with bout.worker():
        bout.empty(PATIENCE_SECONDS)
    return {
        f"lost of {count:,} with two SIGKILLs": str(count - len(bout.counted("end"))),
        f"started twice of {count:,} with two SIGKILLs": str(
            bout.counted("start").total() - len(bout.counted("start"))
        ),
    }


def faults(bout: Bout, which: tuple[str, ...] = FAULTS) -> Figures:
    """Break every receive for some seconds, in one way after the other."""
    failed = []
    for number, fault in enumerate(which):
        with bout.worker():
            bout.send(2 * number, 1, 0)
            assert bout.ended(2 * number, 1, PATIENCE_SECONDS), "the worker does not start"
            with bout.region.broken(fault):
                # It ends the long poll in flight, so that the next one meets the fault.
                bout.send(2 * number + 1, 1, 0)
                time.sleep(FAULT_SECONDS)
            bout.send(2 * len(which) + number, 1, 0)
            if not bout.ended(2 * len(which) + number, 1, BACK_SECONDS):
                failed.append(fault)
    text = f"{len(which) - len(failed)} of {len(which)}"
    return {"receive faults survived": text + (f" (not: {', '.join(failed)})" if failed else "")}


# By name: the trial, and the queue's visibility timeout.
TRIALS: Mapping[str, tuple[Callable[[Bout], Figures], int]] = {
    "long": (long_jobs, 60),
    "short": (short_jobs, 60),
    "idle": (idle, 60),
    "visibility": (visibility, 4),
    "killed": (killed, 5),
    # A long poll of the worker before may take a message with it, for so long.
    "faults": (faults, 5),
}
