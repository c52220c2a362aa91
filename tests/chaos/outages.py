"""Outages of AWS that last, while many photos wait: nobody's photo is to blame, so none is given up.

Ten minutes are one here, and all that the service waits for is shortened by ten too: the pauses of its receivers
(5 to 60 s), the waits between two receives of a message (5 to 60 s; a second is the shortest that SQS knows), the
visibility timeout. So an outage lasts for as many tries of a message as it does in earnest, or for more. How often the
queue hands a message out before it is a dead letter is as deployed. What botocore waits between its own three attempts
is not shortened; that costs less than a try.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.chaos import faults, queues
from tests.chaos.cells import Cell, Play, Scene, judge, wait_for
from tests.chaos.crowd import Crowd
from tests.chaos.patience import UNHURRIED

_PHOTOS_OF_ONE = 2
_DOWN_SECONDS = 600.0 if UNHURRIED else 60.0
_FILL_SECONDS = 600.0
# How long without an outage: an answer takes its place in the bot's 25 a second.
_CLEAR_SECONDS = 600.0
# After an outage, beyond twice of that: long enough to see what comes of all photos.
_LATE_SECONDS = 120.0
_KINDS = {
    "DynamoDB throttles": {"service": "dynamodb", **faults.BEFORE["throttled"]},
    "S3 answers 500": {"service": "s3", **faults.BEFORE["500"]},
}


def outages(waiting: int) -> Iterator[Cell]:
    """Yield each outage, with so many photos waiting for a worker."""
    clear: list[float] = []
    for kind, rule in _KINDS.items():
        name = f"{kind} for {_DOWN_SECONDS:.0f} s, {waiting} photos waiting"
        yield Cell("outage", name, _outage(rule, clear), people=waiting // _PHOTOS_OF_ONE, answer_seconds=10)


def _outage(rule: faults.Rule, clear: list[float]) -> Play:
    """Break AWS while all photos wait; `clear` holds how long they take otherwise, once it was measured."""

    def play(scene: Scene, crowd: Crowd) -> str:
        if not clear:
            calm = scene.crowd(len(crowd.users))
            _fill(scene, calm)
            clear.append(_work(scene, calm, _CLEAR_SECONDS))
        _fill(scene, crowd)
        scene.stack.rules([rule])
        scene.stack.revive("yolo5")
        scene.stack.step(f"outage of {_DOWN_SECONDS:.0f} s")
        time.sleep(_DOWN_SECONDS)
        hits = scene.stack.hits()[0]
        scene.repair()
        took = _work(scene, crowd, 2 * clear[0] + _LATE_SECONDS)
        letters = queues.dead()
        queues.forget_dead()
        apologies = crowd.tally(scene.known).apologies
        return judge(
            f"{len(crowd.sent)} photos, {apologies} apologies, {letters} dead letters; all answered {took:.0f} s after "
            f"the outage, {clear[0]:.0f} s without one; {hits} calls failed",
            photos_were_given_up=letters > 0 or apologies > 0,
            it_takes_too_long=took > 2 * clear[0],
        )

    return play


def _fill(scene: Scene, crowd: Crowd) -> None:
    """Have everybody's photos wait for a worker that is not there."""
    scene.kill("yolo5")
    scene.stack.step("photos come in")
    for _ in range(_PHOTOS_OF_ONE):
        crowd.send(scene.photo)
    wait_for(lambda: queues.waiting() >= len(crowd.sent), _FILL_SECONDS)


def _work(scene: Scene, crowd: Crowd, seconds: float) -> float:
    """Have the photos worked on; return how long that takes."""
    scene.stack.step("photos are worked on")
    scene.stack.revive("yolo5")
    began = time.monotonic()
    crowd.wait(seconds)
    return time.monotonic() - began
