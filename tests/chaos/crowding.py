"""Workers that come and go under load, and one person who sends more than all others."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from deploy.local.processes import Child
from deploy.local.telegram.client import TelegramUser
from tests.chaos import queues
from tests.chaos.cells import Cell, MissedError, Scene, wait_for
from tests.chaos.crowd import Crowd
from tests.support.leaving_machine import Machine

_PHOTOS_A_STEP = 4
_LEAVE_SECONDS = 90.0
_LEAVING = "/latest/meta-data/autoscaling/target-lifecycle-state"
_SAMPLES = 5
_FILL_SECONDS = 600.0


def crowding(scale_ins: int, burst: int) -> Iterator[Cell]:
    """Yield the scale-ins and the burst."""
    people = scale_ins * _PHOTOS_A_STEP
    yield Cell("workers", f"{scale_ins} forced scale-ins under load", _scale_ins(scale_ins), people, 120)
    # A chat gets one answer a second.
    name = f"{burst} photos of one person before another's"
    yield Cell("fairness", name, _fairness(burst), 2 + 3 * _SAMPLES, burst * 1.5 + 120)


def _scale_ins(times: int) -> Callable[[Scene, Crowd], str]:
    """Have the oldest worker's machine taken away, again and again, while photos come in."""

    def play(scene: Scene, crowd: Crowd) -> str:
        machine, worker = _machine(scene)
        scene.kill("yolo5-1")
        for step in range(times):
            scene.stack.step(f"scale-in {step + 1} of {times}")
            next_machine, next_worker = _machine(scene)
            crowd.send(scene.photo, crowd.users[step * _PHOTOS_A_STEP : (step + 1) * _PHOTOS_A_STEP])
            _take_away(scene, machine, worker)
            machine, worker = next_machine, next_worker
        crowd.wait(_LEAVE_SECONDS)
        _take_away(scene, machine, worker)
        return f"{times + 1} left by themselves"

    return play


def _machine(scene: Scene) -> tuple[Machine, Child]:
    """Return a new machine and its worker, once that is ready."""
    machine = Machine()
    worker = scene.stack.start_worker(
        AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.url, ASG_NAME="chaos"
    )
    worker.wait_ready(lambda: worker.said(" ready."), _LEAVE_SECONDS)
    return machine, worker


def _take_away(scene: Scene, machine: Machine, worker: Child) -> None:
    machine.answers[_LEAVING] = "Terminated"
    code = worker.wait(_LEAVE_SECONDS)
    machine.close()
    scene.stack.children.forget(worker)
    if code != 0:
        raise MissedError(f"{worker.name} was to leave by itself and ended with code {code}")


def _fairness(burst: int) -> Callable[[Scene, Crowd], str]:
    """Measure how long somebody waits for an answer: alone, during a burst, and behind jobs that wait for a worker."""

    def play(scene: Scene, crowd: Crowd) -> str:
        greedy, another, *others = crowd.users
        alone = _median_wait(scene, crowd, others[:_SAMPLES])
        scene.stack.step(f"one person sends {burst} photos")
        crowd.send(scene.photo, [greedy] * burst)
        meanwhile = _median_wait(scene, crowd, others[_SAMPLES : 2 * _SAMPLES])
        pending = int(scene.telegram.webhook()["pending_update_count"])
        scene.telegram.wait_until_delivered(_FILL_SECONDS)
        late = _median_wait(scene, crowd, others[2 * _SAMPLES :])
        queued = burst // 5
        scene.stack.step(f"{queued} photos wait for a worker")
        scene.kill("yolo5")
        crowd.send(scene.photo, [another] * queued)
        wait_for(lambda: queues.waiting() >= queued, _FILL_SECONDS)
        scene.stack.revive("yolo5")
        behind = _wait(scene, crowd, others[0])
        return (
            f"alone {alone:.2f} s; during the burst {meanwhile:.2f} s ({meanwhile / alone:.1f} times, {pending} photos "
            f"were still to come); while {burst} answers wait for their chat {late:.2f} s ({late / alone:.1f} times); "
            f"behind {queued} jobs that waited for a worker {behind:.2f} s"
        )

    return play


def _median_wait(scene: Scene, crowd: Crowd, users: Sequence[TelegramUser]) -> float:
    """Return how long people wait, one after another, each in a chat of its own: a chat gets one answer a second."""
    return statistics.median(_wait(scene, crowd, user) for user in users)


def _wait(scene: Scene, crowd: Crowd, user: TelegramUser) -> float:
    started = time.monotonic()
    crowd.send(scene.photo, [user])
    user.wait_for_reply(crowd.sent[-1].message_id, _FILL_SECONDS)
    return time.monotonic() - started
