"""Keep all senders with the bot's token, on any machine, under Telegram's limits; and logins under ours.

Each limit is one DynamoDB item with the time from which the next message may go (the generic cell rate algorithm).
A permit is one conditional write, so senders need not know about each other. A 429 moves that time on for all of them,
and sets `probe_at`: from then on one of them may find out whether the pause still holds.
"""

import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.conf import settings

from botsite import aws

# Two chats refused within this time indicate the bot's own limit; a single one has reached its own.
_TOGETHER_SECONDS = 10.0
# Clocks may differ by this much. A time further ahead than a limit and a pause allow comes from a wrong clock.
_SKEW_SECONDS = 1.0
_EXPIRES_SECONDS = 3600


class TooBusy(Exception):
    """The next permit is too far away; ask again after `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"Telegram's limit is reached for {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """One message each `interval_seconds`, of which `burst` may come at once after a pause.

    An album counts as one message for each of its pictures, `most_at_once` of them at most. A sender that would wait
    longer than `longest_wait_seconds` has to ask again. A refusal by Telegram counts for at
    most `longest_pause_seconds`; every `probe_seconds` one message tests it.
    """

    key: str
    interval_seconds: float
    burst: int
    longest_wait_seconds: float = 5.0
    longest_pause_seconds: float = 60.0
    probe_seconds: float = 6.0
    most_at_once: int = 1

    @property
    def tolerance_seconds(self) -> float:
        """Return how far ahead the time may be for a message to go at once."""
        return self.tolerance_of(1)

    def tolerance_of(self, messages: int) -> float:
        """Return how far ahead the time may be for so many messages to go at once."""
        return max(0, self.burst - messages) * self.interval_seconds


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send `wait_seconds` from now. A `probe` goes despite a pause, which `resume` ends if it gets through."""

    wait_seconds: float
    probe: bool = False


# Telegram: about 30 messages a second for a bot, about one a second in a chat; "short bursts" may pass.
BOT = Limit("pace#bot", 1 / 25, 3, most_at_once=10)


def chat(chat_id: int) -> Limit:
    """Return the limit of one chat. A group takes 20 messages a minute: 16 and a burst of three stay below.

    The wait is short because a thread of a worker waits too, and other chats need that.
    """
    interval_seconds = 1.0 if chat_id > 0 else 60 / 16
    key = f"pace#chat#{chat_id}"
    return Limit(
        key, interval_seconds, 3, 2.0, longest_pause_seconds=600.0, probe_seconds=60.0, most_at_once=BOT.most_at_once
    )


def guest(chat_id: int) -> Limit:
    """Return the limit of a chat that the bot is a guest in: slower, and apart, as its id may be that of another."""
    return replace(chat(-abs(chat_id)), key=f"pace#guest#{chat_id}")


def stored(caller: int) -> Limit:
    """Return the limit of the pictures that STORAGE_CHAT takes for one caller of a guest: a quarter of a group's."""
    return Limit(f"pace#stored#{caller}", 15.0, 2)


def reserve(limit: Limit, messages: int = 1) -> Permit:
    """Take the next permit, for an album of so many messages. Raise TooBusy if it is too far away.

    An album queues like a single message, and then waits until nothing is ahead of it.
    """
    while True:
        now = time.time()
        if _take_free(limit, now, messages):
            return Permit(0.0)
        following = _take_following(limit, now, messages)
        if following is not None:
            begin = following - messages * limit.interval_seconds
            return Permit(max(0.0, begin - limit.tolerance_of(messages) - now))
        if _may_probe(limit, now):
            return Permit(0.0, probe=True)


def spare(limit: Limit) -> bool:
    """Take a permit if a message may go at once; return whether it was taken. Answers that wait have the next turns."""
    now = time.time()
    return _take_free(limit, now) or _take_following(replace(limit, longest_wait_seconds=0), now) is not None


def leaves_room(limit: Limit, messages: int = 1) -> bool:
    """Return whether an answer could go at once even after so many messages; of any number, if all is quiet.

    No permit is taken: what is sent next reserves its own.
    """
    now, next_at = time.time(), float(_item(limit).get("next_at", 0))
    return next_at <= max(now, now + limit.tolerance_seconds - messages * limit.interval_seconds)


def idle(limit: Limit, seconds: float) -> bool:
    """Take a permit if nothing was sent under the limit for so long; return whether it was taken."""
    return first_since(limit, time.time() - seconds)


def first_since(limit: Limit, since: float) -> bool:
    """Take a permit if none was taken since that time (epoch seconds); return whether it was taken."""
    now = time.time()
    # Whatever the clocks of others say, the next one to ask about that time comes second.
    taken_at = max(now, since + 0.001)
    values = {":latest": since, ":next": taken_at + limit.interval_seconds, ":expires": _expires(now)}
    condition = "attribute_not_exists(next_at) OR next_at <= :latest"
    return _update(limit, "SET next_at = :next, expires_at = :expires REMOVE probe_at", condition, values) is not None


def refused(chat_id: int, seconds: float, *, own: bool = False, limit: Limit | None = None) -> float:
    """Pause a chat (or its `limit`) that Telegram refused, and the bot if another was refused just before.

    Return after how many seconds to ask again. A limit of the bot's shows in both refusals, so the bot waits for the
    shorter of the two: the longer one may be that chat's own. `own`: the chat had to wait for its turn, or tested its
    pause, so this is about its own limit, and no evidence about the bot's.
    """
    wait = pause(limit or chat(chat_id), seconds)
    if own:
        return wait
    now = time.time()
    before = _update(
        BOT,
        "SET refused_chat = :chat, refused_at = :now, refused_seconds = :seconds, expires_at = :expires",
        None,
        {":chat": chat_id, ":now": now, ":seconds": seconds, ":expires": _expires(now)},
        returned="ALL_OLD",
    )
    if not before or before.get("refused_chat", chat_id) == chat_id:
        return wait
    if abs(now - float(before["refused_at"])) > _TOGETHER_SECONDS:
        return wait
    return max(wait, pause(BOT, min(seconds, float(before["refused_seconds"]))))


def pause(limit: Limit, seconds: float) -> float:
    """Give no permit for `seconds`, except to a probe; return after how many seconds to ask again."""
    now = time.time()
    seconds = min(seconds, limit.longest_pause_seconds)
    until = now + seconds + limit.tolerance_seconds
    _update(
        limit,
        "SET next_at = :until, probe_at = :probe, expires_at = :expires",
        "attribute_not_exists(next_at) OR next_at < :until OR attribute_exists(probe_at)",
        {":until": until, ":probe": now + limit.probe_seconds, ":expires": _expires(now)},
    )
    return min(seconds, limit.probe_seconds)


def resume(limit: Limit, messages: int = 1) -> None:
    """End a pause: its probe, an album of so many messages, got through."""
    now = time.time()
    following = now + messages * limit.interval_seconds
    change = "SET next_at = :next, expires_at = :expires REMOVE probe_at"
    _update(limit, change, "attribute_exists(probe_at)", {":next": following, ":expires": _expires(now)})


def forget(limit: Limit) -> None:
    """Let the next burst go at once, as if nothing had been sent before."""
    aws.dynamodb().delete_item(TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": limit.key})


def forget_chat(chat_id: int, *more: Limit) -> None:
    """Forget when a chat, and a guest of that id, had the last message, and that it was the last one refused.

    And when `more` limits were used last; each unless that was a moment ago.
    """
    _update(BOT, "REMOVE refused_chat, refused_at, refused_seconds", "refused_chat = :chat", {":chat": chat_id})
    for limit in (chat(chat_id), guest(chat_id), stored(chat_id), *more):
        _forget_idle(limit)


def _forget_idle(limit: Limit) -> None:
    aws.conditional(
        aws.dynamodb().delete_item,
        Key={"prediction_id": limit.key},
        ConditionExpression="next_at < :now",
        ExpressionAttributeValues={":now": Decimal(f"{time.time():.3f}")},
    )


def _take_free(limit: Limit, now: float, messages: int = 1) -> bool:
    """Take a permit if nobody is ahead, or only what a wrong clock has written; return whether it was taken."""
    furthest = _latest(limit, now) + limit.most_at_once * limit.interval_seconds + _SKEW_SECONDS
    values = {
        ":now": now,
        ":next": now + messages * limit.interval_seconds,
        ":furthest": furthest,
        ":probe": now + limit.probe_seconds + _SKEW_SECONDS,
        ":expires": _expires(now),
    }
    wrong = "next_at > :furthest AND (attribute_not_exists(probe_at) OR probe_at > :probe)"
    condition = f"attribute_not_exists(next_at) OR next_at <= :now OR ({wrong})"
    change = "SET next_at = :next, expires_at = :expires REMOVE probe_at"
    return _update(limit, change, condition, values) is not None


def _take_following(limit: Limit, now: float, messages: int = 1) -> float | None:
    """Move the time on by the messages; return it, or None if it is too far ahead, or has passed meanwhile."""
    values = {":interval": messages * limit.interval_seconds, ":now": now, ":latest": _latest(limit, now)}
    change, condition = "SET next_at = next_at + :interval REMOVE probe_at", "next_at > :now AND next_at <= :latest"
    after = _update(limit, change, condition, values)
    return float(after["next_at"]) if after else None


def _may_probe(limit: Limit, now: float) -> bool:
    """Take the probe of a pause if it is due; return False if a permit is near after all. Raise TooBusy otherwise."""
    item = _item(limit)
    next_at, probe_at = float(item.get("next_at", 0)), float(item.get("probe_at", "inf"))
    latest = _latest(limit, now)
    if next_at <= latest:
        return False
    if probe_at > now:
        raise TooBusy(min(next_at - latest + limit.longest_wait_seconds / 2, probe_at - now))
    values = {":seen": probe_at, ":probe": now + limit.probe_seconds}
    return _update(limit, "SET probe_at = :probe", "probe_at = :seen", values) is not None


def _item(limit: Limit) -> dict[str, Any]:
    key = {"prediction_id": limit.key}
    found = aws.dynamodb().get_item(TableName=settings.PREDICTIONS_TABLE, Key=key, ConsistentRead=True)
    return dict(found.get("Item", {}))


def _latest(limit: Limit, now: float) -> float:
    """Return how far ahead the time may be for the next permit to be near enough."""
    return now + limit.tolerance_seconds + limit.longest_wait_seconds


def _update(
    limit: Limit, change: str, condition: str | None, values: dict[str, float], returned: str = "ALL_NEW"
) -> dict[str, Any] | None:
    """Change the limit's item if the condition holds; return it as it is then (or was before), else None."""
    more = {"ConditionExpression": condition} if condition else {}
    reply = aws.conditional(
        aws.dynamodb().update_item,
        Key={"prediction_id": limit.key},
        UpdateExpression=change,
        ExpressionAttributeValues={name: Decimal(f"{value:.3f}") for name, value in values.items()},
        ReturnValues=returned,
        **more,
    )
    return None if reply is None else dict(reply.get("Attributes", {}))


def _expires(now: float) -> int:
    return int(now) + _EXPIRES_SECONDS
