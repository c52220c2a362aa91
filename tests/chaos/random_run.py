"""Many photos from many chats under faults and kills drawn from a seed: the same seed draws the same ones."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from tests.chaos import faults, stills
from tests.chaos.cells import Cell, Scene
from tests.chaos.crowd import Crowd

_FAULT_EVERY_SECONDS = 2.0
_KILL_EVERY_SECONDS = 10.0
_STILL_EVERY_SECONDS = 25.0
_PHOTOS_OF_ONE = 4
_PROCESSES = ("polybot-1", "polybot-2", "yolo5-1", "metrics")
# How long a fault of a service lasts, in seconds.
_LASTS = (0.3, 2.5)


@dataclass(frozen=True, order=True)
class Event:
    """What happens so many seconds after the start: a photo by the person of this number, a fault, a kill.

    Or a process that stands still: its name, and for how many seconds.
    """

    at: float
    kind: str
    detail: Any


def random_run(seed: int, photos: int, minutes: float) -> Cell:
    """Return the random run as a cell."""
    return Cell(
        "random",
        f"seed {seed}: {photos} photos in {minutes:g} min",
        _play(schedule(seed, photos, minutes * 60)),
        people=max(1, photos // _PHOTOS_OF_ONE),
        answer_seconds=300,
    )


def schedule(seed: int, photos: int, seconds: float) -> list[Event]:
    """Return all that will happen, in order."""
    draw = random.Random(seed)
    people = max(1, photos // _PHOTOS_OF_ONE)
    events = [Event(draw.uniform(0, seconds), "photo", draw.randrange(people)) for _ in range(photos)]
    events += [Event(at, "fault", _fault(draw)) for at in _every(_FAULT_EVERY_SECONDS, seconds)]
    events += [Event(at, "kill", draw.choice(_PROCESSES)) for at in _every(_KILL_EVERY_SECONDS, seconds)]
    events += [
        Event(at, "still", (draw.choice(_PROCESSES), draw.uniform(*stills.SECONDS)))
        for at in _every(_STILL_EVERY_SECONDS, seconds)
    ]
    return sorted(events, key=lambda event: event.at)


def _every(step: float, seconds: float) -> Iterator[float]:
    at = step
    while at < seconds:
        yield at
        at += step


def _fault(draw: random.Random) -> faults.Rule:
    """Return a rule: with a `method` it is one for Telegram, else one for microburst."""
    if draw.random() < 0.3:
        method = draw.choice(sorted(faults.TELEGRAM))
        effect = draw.choice(sorted(faults.TELEGRAM[method]))
        return {"method": method, "times": draw.randint(1, 3), **faults.TELEGRAM[method][effect]}
    boundary = draw.choice([*faults.AWS, *faults.ASIDE])
    fault = draw.choice(sorted(faults.FAULTS))
    return {**faults.aws_rule(boundary, fault), "ttl_s": round(draw.uniform(*_LASTS), 1)}


def _play(events: list[Event]) -> Callable[[Scene, Crowd], str]:
    def play(scene: Scene, crowd: Crowd) -> str:
        act: dict[str, Callable[[Scene, Crowd, Any], None]] = {"photo": _photo, "fault": _break, "kill": _kill}
        counts = Counter(event.kind for event in events)
        began = time.monotonic()
        asleep: list[Future[None]] = []
        with scene.stack.supervised() as restarts, ThreadPoolExecutor() as sleepers:
            # The others go on meanwhile.
            act["still"] = lambda *what: asleep.append(sleepers.submit(_still, *what))
            for event in events:
                time.sleep(max(0.0, began + event.at - time.monotonic()))
                act[event.kind](scene, crowd, event.detail)
                if event.kind == "kill":
                    scene.stack.step(f"random run, {event.at:.0f} s, {crowd.waiting()} photos open")
            for one in asleep:
                one.result()
        hits = sum(map(bool, scene.stack.hits())) + scene.telegram_hits()
        return (
            f"{hits} of {counts['fault']} faults hit, {counts['kill']} kills, {counts['still']} stood still, "
            f"{len(restarts) - counts['kill']} other restarts"
        )

    return play


def _photo(scene: Scene, crowd: Crowd, person: int) -> None:
    crowd.send(scene.photo, [crowd.users[person]])


def _break(scene: Scene, crowd: Crowd, rule: faults.Rule) -> None:
    if "method" in rule:
        scene.telegram_faults.append(scene.telegram.fault(**rule))
    else:
        scene.stack.add_rule(rule)


def _kill(scene: Scene, crowd: Crowd, name: str) -> None:
    scene.kill(name)


def _still(scene: Scene, crowd: Crowd, detail: tuple[str, float]) -> None:
    name, seconds = detail
    # Killed a moment before, it has nothing to stand still.
    with suppress(psutil.NoSuchProcess), scene.still(name):
        time.sleep(seconds)
