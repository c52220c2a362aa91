"""Sites that have to end while Telegram takes its time. Nothing is shortened: what counts is who waits for whom."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.chaos.cells import Cell, Scene, judge, wait_for, without_status
from tests.chaos.crowd import Crowd

_REPLY_SECONDS = (5, 20, 40, 70)
_SENT_SECONDS = 60.0
# A lease that its site did not give back runs out, then a sweep finds it.
_ANSWER_SECONDS = 240.0


def sigterm() -> Iterator[Cell]:
    """Yield the end of all sites while replies to sends are on their way."""
    name = f"sites, while replies come after {', '.join(map(str, _REPLY_SECONDS))} s"
    yield Cell("sigterm", name, _sigterm, people=len(_REPLY_SECONDS), answer_seconds=_ANSWER_SECONDS)


def _sigterm(scene: Scene, crowd: Crowd) -> str:
    with scene.stack.unhurried():
        without_status(scene, len(crowd.users))
        rules = [
            scene.telegram.fault("sendPhoto", "slow_reply", chat_id=user.chat_id, seconds=seconds)
            for user, seconds in zip(crowd.users, _REPLY_SECONDS, strict=True)
        ]
        crowd.send(scene.photo)
        wait_for(lambda: all(scene.telegram.faults_fired(rule) for rule in rules), _SENT_SECONDS)
        scene.stack.step("the sites end")
        began = time.monotonic()
        scene.stack.end("polybot", _ANSWER_SECONDS)
        ended = time.monotonic() - began
        scene.stack.revive("polybot")
        scene.stack.step("late doubles")
        time.sleep(_ANSWER_SECONDS)
    answers = {
        seconds: sum(message.from_bot for message in user.messages())
        for seconds, user in zip(_REPLY_SECONDS, crowd.users, strict=True)
    }
    found = ", ".join(f"{number} after {seconds} s" for seconds, number in answers.items())
    return judge(
        f"the sites ended within {ended:.0f} s; answers: {found}", answers_are_doubled=max(answers.values()) > 1
    )
