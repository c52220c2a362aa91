"""Processes that stand still for longer than anybody waits for them, and then go on as if nothing had happened.

A paused machine, a disk that hangs, a debugger: the process is no more dead than it is heard of. Meanwhile others take
over what it held, and it wakes up in the middle of a step that is no longer its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.chaos import faults, kills
from tests.chaos.cells import Cell, Play, Scene, without_status
from tests.chaos.crowd import Crowd
from tests.chaos.patience import UNHURRIED

# Short: all is still its own. Long: claims, leases and visibility have run out, and the sweep has been by.
SECONDS = (10.0, 200.0) if UNHURRIED else (2.0, 25.0)
# The call at which it stands still is answered after so many milliseconds: what it asked for comes to pass meanwhile.
_ANSWERED_AFTER = {"latency": 1500}
_TAKEN_OVER_SECONDS = 60.0
_WORKER = ("dynamodb: claim", "s3: get photo", "s3: put result", "dynamodb: succeed", "callback", "sqs: delete")
_SITE = ("dynamodb: create", "sqs: send", "dynamodb: claim delivery", "s3: get result", "dynamodb: finish delivery")


def stills() -> Iterator[Cell]:
    """Yield a worker, a site, both sites and the metric role that stand still, each for a short and a long time."""
    for seconds in SECONDS:
        for name in _WORKER:
            yield Cell("still yolo5", f"{seconds:g} s, at {name}", _worker(faults.AWS[f"{name} (worker)"], seconds))
        for name in _SITE:
            rule = faults.AWS[f"{name} (site)"]
            yield Cell("still polybot", f"{seconds:g} s, one at {name}", _site(rule, seconds))
            yield Cell("still polybot", f"{seconds:g} s, both at {name}", _both_sites(rule, seconds))
        yield Cell("still polybot", f"{seconds:g} s, one while it sends", _sending_site(seconds))
        yield Cell("still metrics", f"{seconds:g} s, while it sweeps", _metrics(seconds))


def _worker(rule: faults.Rule, seconds: float) -> Play:
    """Have a worker stand still at a call, with another one to take over."""

    def play(scene: Scene, crowd: Crowd) -> None:
        scene.stack.rules([rule | _ANSWERED_AFTER])
        crowd.send(scene.photo)
        scene.wait_hit(lambda: scene.stack.hits()[0] > 0)
        with scene.still("yolo5-1"):
            scene.stack.rules([])
            other = scene.stack.start_worker()
            time.sleep(seconds)
        crowd.wait(_TAKEN_OVER_SECONDS)
        other.terminate()
        other.wait()
        scene.stack.children.forget(other)

    return play


def _site(rule: faults.Rule, seconds: float) -> Play:
    """Have a site stand still at a call, with another one to take over."""

    def play(scene: Scene, crowd: Crowd) -> None:
        scene.stack.end("polybot-2")
        scene.stack.rules([rule | _ANSWERED_AFTER])
        crowd.send(scene.photo)
        scene.wait_hit(lambda: scene.stack.hits()[0] > 0)
        _stand_still(scene, seconds, "polybot-1")

    return play


def _both_sites(rule: faults.Rule, seconds: float) -> Play:
    def play(scene: Scene, crowd: Crowd) -> None:
        scene.stack.rules([rule | _ANSWERED_AFTER])
        crowd.send(scene.photo)
        scene.wait_hit(lambda: scene.stack.hits()[0] > 0)
        _stand_still(scene, seconds, "polybot-1", "polybot-2")

    return play


def _sending_site(seconds: float) -> Play:
    """Have a site stand still while Telegram takes an answer, so that it hears of that too late."""

    def play(scene: Scene, crowd: Crowd) -> None:
        scene.stack.end("polybot-2")
        without_status(scene, len(crowd.users))
        fault = scene.telegram.fault("sendPhoto", times=len(crowd.users), **faults.SENDS["slow"])
        crowd.send(scene.photo)
        scene.wait_hit(lambda: scene.telegram.faults_fired(fault) > 0)
        _stand_still(scene, seconds, "polybot-1")

    return play


def _stand_still(scene: Scene, seconds: float, *names: str) -> None:
    """Have sites stand still, while the one that had ended comes back and nothing else is wrong."""
    with scene.still(*names):
        scene.stack.rules([])
        scene.stack.revive("polybot")
        time.sleep(seconds)


def _metrics(seconds: float) -> Play:
    """Have the metric role stand still while it looks for what the lost callbacks left."""

    def play(scene: Scene, crowd: Crowd) -> None:
        kills.without_callbacks(scene, crowd)
        scene.stack.rules([faults.QUERY | _ANSWERED_AFTER, faults.no_callback()])
        scene.wait_hit(lambda: scene.stack.hits()[0] > 0)
        with scene.still("metrics"):
            time.sleep(seconds)

    return play
