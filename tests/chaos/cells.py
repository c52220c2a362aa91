"""What the suite tries: each cell is a fault, and what has to happen for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.local.processes import wait_until
from deploy.local.telegram.client import TelegramControl
from tests.chaos import faults
from tests.chaos.crowd import Crowd, Known, blank
from tests.chaos.patience import NOTIFY_AFTER, UNHURRIED
from tests.chaos.stack import ChaosStack

# A fault lasts for so long after its first hit: longer than botocore's three attempts.
_LASTS_SECONDS = 3.0
_HIT_SECONDS = 90.0 if UNHURRIED else 20.0
_LOOK_SECONDS = 0.05


@dataclass
class Scene:
    """Where a cell is played: the service, the people, their photos."""

    stack: ChaosStack
    telegram: TelegramControl
    photo: bytes
    # As it was taken, which is what hostile files are made of.
    whole_photo: bytes
    people: int
    blank: bytes = field(default_factory=blank)
    # No image at all.
    junk: bytes = b"junk"
    # When sites were killed, or came to stand still, in seconds since 1970.
    kills: list[float] = field(default_factory=list)
    telegram_faults: list[int] = field(default_factory=list)

    def crowd(self, people: int | None = None) -> Crowd:
        """Return people who have not talked to the bot before."""
        return Crowd(self.stack.telegram_url, people or self.people)

    def kill(self, role: str) -> None:
        """Kill a role or one process of it, and remember when, if it is one that sends."""
        if role.startswith("polybot"):
            self.kills.append(time.time())
        self.stack.kill(role)

    @contextmanager
    def still(self, *names: str) -> Iterator[None]:
        """Have processes stand still within the block, and remember since when, if one of them sends."""
        if any(name.startswith("polybot") for name in names):
            self.kills.append(time.time())
        with self.stack.still(*names):
            yield

    @property
    def known(self) -> Known:
        """Return what is known of the sites up to now."""
        return Known(self.kills, self.stack.recorded)

    def telegram_hits(self) -> int:
        """Return how many of the Telegram faults that a random run made have hit."""
        return sum(self.telegram.faults_fired(fault) > 0 for fault in self.telegram_faults)

    def repair(self) -> None:
        """Let everything work again."""
        self.stack.rules([])
        self.telegram.clear_faults()

    def wait_hit(self, hit: Callable[[], bool]) -> None:
        """Wait until a fault has hit something. Raise MissedError if it does not."""
        wait_for(hit, _HIT_SECONDS)


class MissedError(Exception):
    """A cell that proves nothing: what it is about did not happen."""


class BrokenError(Exception):
    """A cell that found more to be wrong than answers; the text says all that was measured."""


def judge(note: str, **broken: bool) -> str:
    """Return what a cell measured. Raise BrokenError, naming what is broken, if anything is."""
    names = [name.replace("_", " ") for name, is_broken in broken.items() if is_broken]
    if names:
        raise BrokenError(f"{', '.join(names)}; {note}")
    return note


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition. Raise MissedError when the time is over."""
    try:
        wait_until(condition, seconds, every_seconds=_LOOK_SECONDS)
    except TimeoutError:
        raise MissedError(f"what was to happen did not within {seconds:g} s") from None


# What sends photos and makes the trouble; it may return something to remark.
Play = Callable[[Scene, Crowd], str | None]


@dataclass(frozen=True)
class Cell:
    """One fault. `people` is how many take part, if that matters; the answers are counted afterwards.

    `answer_seconds` is how long answers may take once all is repaired.
    """

    group: str
    name: str
    play: Play
    people: int | None = None
    answer_seconds: float = 90.0

    @property
    def title(self) -> str:
        """Return how the cell is chosen by --only."""
        return f"{self.group} / {self.name}"


def single_faults() -> Iterator[Cell]:
    """Yield every boundary with every fault."""
    for boundary in faults.AWS:
        for fault in faults.FAULTS:
            if boundary.startswith("s3: put") and fault == "reply lost":
                continue  # The reply of a put has no body to cut; "reply hangs" loses it.
            yield Cell(boundary, fault, _aws([faults.aws_rule(boundary, fault)], boundary in faults.OF_JUNK))
    for fault, rule in faults.FAULTS.items():
        yield Cell("sqs: visibility, heartbeat", fault, _aws([faults.VISIBILITY | rule, slow_photo()]))
        yield Cell("sqs: visibility, failed job", fault, _aws([faults.VISIBILITY | rule, _failing_photo()]))
        yield Cell("dynamodb: query (sweep)", fault, _aws([faults.QUERY | rule, faults.no_callback()]))
        yield Cell("dynamodb: release delivery", fault, _release(faults.RELEASE | rule))
        yield Cell("secretsmanager: token", fault, _secret(faults.SECRET | rule))
    for method, effects in faults.TELEGRAM.items():
        for fault, rule in effects.items():
            yield Cell(f"telegram: {method}", fault, _telegram(method, rule))
    for method, effects in faults.STATUS.items():
        for fault, rule in effects.items():
            yield Cell(f"telegram: {method} (status)", fault, _status(method, rule))


def without_status(scene: Scene, photos: int) -> None:
    """Have so many people told nothing while they wait: their answers are messages of their own."""
    scene.telegram.fault("sendMessage", "server_error", times=photos)


def with_status(scene: Scene, crowd: Crowd, photo: bytes, long: bool = False) -> None:
    """Have everybody send a photo and be told that it waits: until the answer takes its place, or `long`."""
    if long:
        scene.kill("yolo5")
    else:
        scene.stack.rules([slow_photo()])
    crowd.send(photo)
    if long:
        wait_for(lambda: crowd.told() == len(crowd.users), _HIT_SECONDS)
        time.sleep(NOTIFY_AFTER.total_seconds())
        scene.stack.revive("yolo5")


def slow_photo() -> faults.Rule:
    """Return a rule that has workers take their time."""
    return faults.AWS["s3: get photo (worker)"] | {"latency": 2800}


def _failing_photo() -> faults.Rule:
    return faults.aws_rule("s3: get photo (worker)", "500")


def _aws(rules: list[faults.Rule], junk: bool = False) -> Play:
    """Break a call for some seconds; the first rule is the one that has to hit."""

    def play(scene: Scene, crowd: Crowd) -> None:
        scene.stack.rules(rules)
        crowd.send(scene.junk if junk else scene.photo, junk=junk)
        scene.wait_hit(lambda: scene.stack.hits()[0] > 0)
        time.sleep(_LASTS_SECONDS)

    return play


def _release(rule: faults.Rule) -> Play:
    """Break the way back after Telegram has refused."""

    def play(scene: Scene, crowd: Crowd) -> None:
        without_status(scene, len(crowd.users))
        scene.telegram.fault("sendPhoto", "server_error", times=len(crowd.users))
        _aws([rule])(scene, crowd)

    return play


def _secret(rule: faults.Rule) -> Play:
    """Break the reading of the token, which every site does once."""

    def play(scene: Scene, crowd: Crowd) -> None:
        scene.kill("polybot")
        scene.stack.rules([rule])
        scene.stack.revive("polybot")
        _aws([rule])(scene, crowd)

    return play


def _telegram(method: str, rule: faults.Rule) -> Play:
    """Break one call of Telegram for each photo."""

    def play(scene: Scene, crowd: Crowd) -> None:
        times = len(crowd.users)
        photo = scene.blank if method in ("sendMessage", "editMessageText") else scene.photo
        if method in ("sendPhoto", "sendMessage"):
            without_status(scene, times)
        rule_id = scene.telegram.fault(method, rule["effect"], times=times, **_details(rule))
        if method in ("editMessageMedia", "editMessageText", "deleteMessage"):
            with_status(scene, crowd, photo, long=method == "deleteMessage")
        else:
            crowd.send(photo)
        scene.wait_hit(lambda: scene.telegram.faults_fired(rule_id) == times)

    return play


def _status(method: str, rule: faults.Rule) -> Play:
    """Break what tells people how the wait goes, for as long as they wait."""

    def play(scene: Scene, crowd: Crowd) -> None:
        rule_id = scene.telegram.fault(method, rule["effect"], times=None, **_details(rule))
        with_status(scene, crowd, scene.photo)
        scene.wait_hit(lambda: scene.telegram.faults_fired(rule_id) > 0)
        time.sleep(_LASTS_SECONDS)

    return play


def _details(rule: faults.Rule) -> dict[str, int]:
    return {name: value for name, value in rule.items() if name != "effect"}
