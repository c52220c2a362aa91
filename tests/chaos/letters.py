"""Many dead letters: all their senders are told, and what an operator replays is answered with a picture."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from tests.chaos import queues
from tests.chaos.cells import Cell, Scene, judge, wait_for
from tests.chaos.crowd import Crowd
from tests.chaos.patience import UNHURRIED

_PHOTOS_OF_ONE = 2
_FILL_SECONDS = 600.0
# Telegram's limit of a bot, 25 a second, makes it half a minute; the rest is for slow machines.
_TOLD_SECONDS = 300.0
# A send that takes this long, and no longer than the site waits for it, is on its way when its letter is replayed.
_SLOW_SECONDS = 10.0 if UNHURRIED else 3.0
_UNDER_WAY = 10
_REPLAY_SECONDS = 120.0
_ANSWER_SECONDS = 300.0


def letters(told: int, replayed: int) -> Iterator[Cell]:
    """Yield the burial of so many letters, and the replay of so many."""
    yield Cell("letters", f"{told} at once", _told, people=told // _PHOTOS_OF_ONE, answer_seconds=10)
    name = f"{replayed} replayed while their apologies are on their way"
    yield Cell("letters", name, _replayed, people=replayed, answer_seconds=10)


def _told(scene: Scene, crowd: Crowd) -> str:
    """Let the sweep find many letters at once."""
    _die(scene, crowd, _PHOTOS_OF_ONE, good=False)
    began = time.monotonic()
    crowd.wait(_TOLD_SECONDS)
    seconds, open_ = time.monotonic() - began, crowd.waiting()
    queues.forget_dead()
    told = len(crowd.sent) - open_
    return judge(f"{told} of {len(crowd.sent)} told within {seconds:.0f} s", not_all_were_told=open_ > 0)


def _replayed(scene: Scene, crowd: Crowd) -> str:
    """Replay the letters while Telegram takes its time with the apologies."""
    crowd.replayed = True
    times = len(crowd.users)
    slow = scene.telegram.fault("sendMessage", "delay", times=times, seconds=_SLOW_SECONDS)
    _die(scene, crowd, 1, good=True)
    scene.wait_hit(lambda: scene.telegram.faults_fired(slow) >= _UNDER_WAY)
    runs = 0
    deadline = time.monotonic() + _REPLAY_SECONDS
    while queues.dead() and time.monotonic() < deadline:
        _replay(scene)
        runs += 1
    left = queues.dead()
    queues.forget_dead()
    scene.stack.revive("yolo5")
    crowd.wait(_ANSWER_SECONDS)
    apologies, without = crowd.tally(scene.known).apologies, crowd.waiting()
    return judge(
        f"{len(crowd.sent) - without} of {len(crowd.sent)} boxed after {runs} runs of `dlq replay`, {left} left, "
        f"{apologies} apologies before, {scene.telegram.faults_fired(slow)} of them slow",
        replayed_photos_have_no_result=without > 0,
        letters_cannot_be_replayed=left > 0,
    )


def _die(scene: Scene, crowd: Crowd, photos_of_one: int, good: bool) -> None:
    """Have everybody's photos wait for a worker that is not there, then be dead letters."""
    scene.kill("yolo5")
    scene.stack.step("photos come in")
    for _ in range(photos_of_one):
        crowd.send(scene.photo, good=good)
    wait_for(lambda: queues.waiting() >= len(crowd.sent), _FILL_SECONDS)
    scene.stack.step("photos become dead letters")
    queues.bury()


def _replay(scene: Scene) -> None:
    """Do what the runbook says. What cannot be replayed yet stays a letter, and is counted."""
    command = [sys.executable, "manage.py", "dlq", "replay", "--yes"]
    env = scene.stack.env | {"AWS_ENDPOINT_URL": scene.stack.endpoint}
    subprocess.run(command, check=False, capture_output=True, env=env)
