"""Run workers on an emulated SQS, send them tasks, and let faults happen to them as a seed says."""

import contextlib
import itertools
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..support.processes import PATIENCE_SECONDS, start, wait_until
from ..support.worker import ROOT, Aws, program
from . import proxy
from .app import add_task, history_app
from .events import Journal
from .judge import History

FAULTS = ("kill", "halt", "end", "jump", *proxy.FAULTS)
NETWORK_SHARE = 0.8  # Of the time from one fault to the next, one of the network lasts so long.


@dataclass(frozen=True)
class Plan:
    """How a run goes; the seed decides the rest."""

    seed: int = 0
    tasks: int = 2000
    workers: int = 4
    seconds: float = 300.0
    faults: tuple[str, ...] = FAULTS
    every_seconds: float = 6.0  # From one fault to the next.
    visibility: int = 11  # No wait of a message that is tried again: the proxy tells extensions from releases by it.
    longest_delay: int = 3  # Instead of SQS's 900 s.
    longest_halt: float = 90.0
    quiet_seconds: float = 90.0  # At most, from the last fault until the queue is empty.
    mutant: str = ""


@dataclass
class Run:
    """Workers, and what is between them and SQS."""

    plan: Plan
    folder: Path
    queue_url: str
    journal: Journal
    proxy: proxy.Proxy
    stack: ExitStack
    random: random.Random
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    told: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start_worker(self) -> None:
        """Start another worker."""
        name = f"worker-{next(self.names)}"
        told: dict[str, Any] = {"queue_url": self.queue_url, "journal": str(self.journal.file), "name": name}
        told |= {"longest_delay": self.plan.longest_delay, "mutant": self.plan.mutant}
        env = {
            "HISTORY": json.dumps(told),
            "AWS_ENDPOINT_URL": self.proxy.url,
            "AWS_SDK_UA_APP_ID": name,
            "PYTHONPATH": str(ROOT),
        }
        command = program("celery", "-A", add_task.__module__, "worker")
        self.workers[name] = self.stack.enter_context(start(command, env, self.folder / f"{name}.log"))

    def started(self) -> list[str]:
        """Return the names of the workers that run and have said so."""
        events = self.journal.events() if self.journal.file.exists() else []
        return sorted(self.workers.keys() & {event.who for event in events if event.what == "ready"})

    # Faults.

    def kill(self, name: str) -> None:
        """End a worker at once, and start another."""
        self.journal.note("killed", who=name)
        self.workers.pop(name).kill()
        self.start_worker()

    def end(self, name: str) -> None:
        """Tell a worker to end, and start another."""
        self.journal.note("told", who=name)
        self.told[name] = self.workers.pop(name)
        self.told[name].send_signal(signal.SIGTERM)
        self.start_worker()

    def halt(self, name: str) -> None:
        """Have a worker stand still."""
        self.journal.note("halted", who=name)
        self.workers[name].send_signal(signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """Have a worker that stands still go on, unless it has been killed in the meantime."""
        if process := (self.workers | self.told).get(name):
            self.journal.note("went on", who=name)
            process.send_signal(signal.SIGCONT)

    def jump(self, name: str) -> None:
        """Have a worker take another time for now."""
        self.workers[name].send_signal(signal.SIGUSR2)

    def break_requests(self, fault: str) -> None:
        """Break some of the requests from now on, in this way; "" breaks none."""
        self.proxy.fault = fault


def run(plan: Plan, aws: Aws, folder: Path) -> History:
    """Run a plan to its end and return what happened."""
    journal = Journal(folder / "journal")
    queue_url = aws.queue(VisibilityTimeout=str(plan.visibility))
    with ExitStack() as stack:
        between = stack.enter_context(proxy.Proxy(aws.url, journal, plan.visibility, plan.seed).running())
        one = Run(plan, folder, queue_url, journal, between, stack, random.Random(plan.seed))
        for _ in range(plan.workers):
            one.start_worker()
        wait_until(lambda: len(one.started()) == plan.workers)
        _follow(_timetable(one))
        _come_to_rest(one, aws)
    return History(journal.events())


def _follow(timetable: list[tuple[float, Callable[[], object]]]) -> None:
    began = time.monotonic()
    for at, act in sorted(timetable, key=lambda line: line[0]):
        time.sleep(max(0.0, began + at - time.monotonic()))
        act()


def _timetable(one: Run) -> list[tuple[float, Callable[[], object]]]:
    """Return what is done when, in seconds from the start."""
    plan = one.plan
    sender = _sender(one)
    table: list[tuple[float, Callable[[], object]]] = [
        (plan.seconds * number / plan.tasks, sender) for number in range(plan.tasks)
    ]
    deck: list[str] = []
    for number in range(1, int(plan.seconds / plan.every_seconds)):
        # Each comes before one comes again.
        deck = deck or one.random.sample(plan.faults, len(plan.faults))
        table += _fault(one, deck.pop(), number * plan.every_seconds)
    return table


def _fault(one: Run, fault: str, at: float) -> list[tuple[float, Callable[[], object]]]:
    """Return how a fault begins and ends."""
    if fault in proxy.FAULTS:
        seconds = one.plan.every_seconds * NETWORK_SHARE
        return [(at, lambda: one.break_requests(fault)), (at + seconds, lambda: one.break_requests(""))]
    seconds, place = one.random.uniform(one.plan.visibility, one.plan.longest_halt), one.random.random()
    chosen: list[str] = []

    def begin() -> None:
        # A signal ends a process that is not ready for it.
        if names := one.started():
            chosen.append(names[int(place * len(names))])
            getattr(one, fault)(chosen[0])

    def end() -> None:
        for name in chosen:
            one.go_on(name)

    return [(at, begin), (min(at + seconds, one.plan.seconds), end)]


def _sender(one: Run) -> Callable[[], object]:
    """Return what sends the next task, whose work the seed has chosen."""
    app = history_app(one.queue_url)
    app.conf.broker_transport_options["endpoint_url"] = one.proxy.url
    drawn, visibility = one.random, one.plan.visibility
    connection = one.stack.enter_context(app.connection_for_write())

    def send() -> object:
        seconds = drawn.uniform(0.02, 0.3) if drawn.random() < 0.97 else visibility * drawn.uniform(1.3, 2)
        trouble = drawn.choices(["", "fails", "retries"], [8, 1, 1])[0]
        later: dict[str, Any] = {}
        if drawn.random() < 0.2:
            # SQS gives it out too soon, as it does with what is due in more than 15 minutes.
            later = {"eta": datetime.now(UTC) + timedelta(seconds=drawn.uniform(1, 10)), "delay_seconds": 1}
        return app.send_task("work", (seconds, trouble), connection=connection, **later)

    return send


def _come_to_rest(one: Run, aws: Aws) -> None:
    """End all faults; wait until nothing is queued, and each worker has received once more; end the workers."""
    one.break_requests("")
    for name in [*one.workers, *one.told]:
        one.go_on(name)
    one.journal.note("healed")
    counted = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
    deadline = time.monotonic() + one.plan.quiet_seconds
    while aws.depth(one.queue_url, *counted) and time.monotonic() < deadline:
        time.sleep(0.2)
    healed = time.monotonic()
    wait_until(lambda: time.monotonic() > healed + 10 or not History(one.journal.events()).broken()["deaf"])
    for name, process in one.workers.items():
        if process.poll() is not None:
            one.journal.note("died", who=name)
    for name, process in one.told.items():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
        if process.returncode != 0:
            one.journal.note("died", who=name)
