"""Telegram's limits: one chat's is that chat's. Nothing is shortened here, for the limits are in real time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from botsite import rate_limit
from deploy.local.telegram.client import TelegramUser
from tests.chaos.cells import Cell, Scene, judge
from tests.chaos.crowd import Crowd
from tests.chaos.steady import p95, photos

_GROUP_PHOTOS = 40
_GROUP_SECONDS = 240.0
_REFUSED_SECONDS = 3600
_PRIVATE_EVERY_SECONDS = 3.0
_PRIVATE_P95_SECONDS = 3.0
# From -10**12 down a group is a supergroup.
_GROUP, _REFUSED = -2_000_000_000_001, 900_000


def limits() -> Iterator[Cell]:
    """Yield the busy group, and the chat that Telegram refuses for an hour."""
    name = f"{_GROUP_PHOTOS} photos in a group, a chat refused for {_REFUSED_SECONDS} s, private chats"
    yield Cell("limits", name, _busy_group, people=30, answer_seconds=60)


def _busy_group(scene: Scene, crowd: Crowd) -> str:
    group = scene.crowd(1)
    group.users = [TelegramUser(scene.stack.telegram_url, _GROUP, user_id=_REFUSED + 1)]
    refused = TelegramUser(scene.stack.telegram_url, _REFUSED)
    with scene.stack.unhurried():
        scene.telegram.set(rate_limits=True)
        scene.telegram.fault("*", "too_many_requests", chat_id=_REFUSED, times=None, retry_after=_REFUSED_SECONDS)
        try:
            scene.stack.step("a busy group")
            with photos(crowd, scene.photo, _PRIVATE_EVERY_SECONDS):
                refused.send_photo(scene.photo)
                began = time.monotonic()
                group.send(scene.photo, group.users * _GROUP_PHOTOS)
                group.wait(_GROUP_SECONDS)
                took = time.monotonic() - began
            crowd.wait(_PRIVATE_P95_SECONDS * 10)
        finally:
            scene.telegram.set(rate_limits=False)
            # The next cell is not to wait for what Telegram asked here.
            rate_limit.forget(rate_limit.BOT)
    waits, unanswered, answered = crowd.waits(), crowd.waiting(), group.tally(scene.known)
    return judge(
        f"private chats: p95 {p95(waits):.1f} s, {unanswered} of {len(crowd.sent)} unanswered; the group has "
        f"{_GROUP_PHOTOS - group.waiting()} of {_GROUP_PHOTOS} answers after {took:.0f} s",
        private_chats_wait=unanswered > 0 or p95(waits) > _PRIVATE_P95_SECONDS,
        the_group_waits=answered.lost > 0,
        the_group_gets_answers_twice=answered.doubled > 0,
    )
