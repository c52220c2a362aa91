"""Workers that come and go under load, and one person who sends more than all others."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from botsite import aws
from deploy.local.processes import Child
from deploy.local.telegram.client import TelegramUser
from tests.test_worker_life import Machine

from .cells import Cell, MissedError, Scene, wait_for
from .crowd import Crowd

_PHOTOS_A_STEP = 4
_LEAVE_SECONDS = 90.0
_LEAVING = "/latest/meta-data/autoscaling/target-lifecycle-state"
_ALONE = 5
_FILL_SECONDS = 600.0


def crowding(scale_ins: int, burst: int) -> Iterator[Cell]:
    """Yield the scale-ins and the burst."""
    people = scale_ins * _PHOTOS_A_STEP
    yield Cell("workers", f"{scale_ins} forced scale-ins under load", _scale_ins(scale_ins), people, 120)
    # A chat gets one answer a second.
    yield Cell("fairness", f"{burst} photos of one person before another's", _fairness(burst), 2, burst * 1.5 + 120)


def _scale_ins(times: int) -> Callable[[Scene, Crowd], str]:
    """Have the oldest worker's machine taken away, again and again, while photos come in."""

    def play(scene: Scene, crowd: Crowd) -> str:
        machine, worker = _machine(scene)
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
    scene.stack.forget(worker)
    if code != 0:
        raise MissedError(f"{worker.name} was to leave by itself and ended with code {code}")


def _fairness(burst: int) -> Callable[[Scene, Crowd], str]:
    """Measure how long somebody waits for an answer, alone and behind a burst that has waited for a worker."""

    def play(scene: Scene, crowd: Crowd) -> str:
        greedy, other = crowd.users
        alone = statistics.median(_wait(scene, crowd, other) for _ in range(_ALONE))
        scene.kill("yolo5")
        for number in range(burst):
            scene.stack.step(f"queueing {number + 1} of {burst} photos")
            crowd.send(scene.photo, [greedy])
        wait_for(lambda: _depth(scene) >= burst, _FILL_SECONDS)
        scene.stack.step("measuring the other's wait")
        scene.stack.revive("yolo5")
        behind = _wait(scene, crowd, other)
        return f"alone {alone:.2f} s, behind the burst {behind:.2f} s: {behind / alone:.1f} times"

    return play


def _wait(scene: Scene, crowd: Crowd, user: TelegramUser) -> float:
    started = time.monotonic()
    crowd.send(scene.photo, [user])
    user.wait_for_reply(crowd.sent[-1].message_id, _FILL_SECONDS)
    return time.monotonic() - started


def _depth(scene: Scene) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = scene.stack.env["JOBS_QUEUE_URL"]
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    return sum(int(value) for value in answer["Attributes"].values())
