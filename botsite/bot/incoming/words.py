"""Answer what is about no photo: at once, or when the chat has a turn for it.

Answers to photos come first. This process waits, not Telegram, which would hold back other updates until it may send
this one again. What waits is bounded, and lost with the process.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from botsite import in_flight
from botsite.bot.incoming.updates import Command, Other
from botsite.bot.telegram import edits
from botsite.bot.telegram.errors import TelegramError

log = structlog.get_logger()

_WITHIN_SECONDS, _AGAIN_SECONDS = 30.0, 2.0
_WAIT_AT_MOST, _WAIT_IN_CHAT_AT_MOST = 100, 10
_waiting: Counter[int] = Counter()  # By chat.

Send = Callable[[], Awaitable[None]]


async def answer(said: Command | Other, send: Send) -> None:
    """Send an answer now or soon; it may be left out. Raise TelegramError unless that is for want of a turn."""
    if await _sent(said, send):
        return
    full = _waiting.total() >= _WAIT_AT_MOST or _waiting[said.chat_id] >= _WAIT_IN_CHAT_AT_MOST
    if full or said.age_seconds >= _WITHIN_SECONDS:
        log.info("reply_left_out", chat_id=said.chat_id)
        return
    _waiting[said.chat_id] += 1
    in_flight.start(_send_soon(said, send)).add_done_callback(lambda _: _waiting.subtract([said.chat_id]))


async def _send_soon(said: Command | Other, send: Send) -> None:
    try:
        while said.age_seconds < _WITHIN_SECONDS:
            await asyncio.sleep(_AGAIN_SECONDS)
            if await _sent(said, send):
                return
        log.info("reply_left_out", chat_id=said.chat_id)
    except (TelegramError, ClientError, BotoCoreError) as error:
        log.warning("reply_failed", chat_id=said.chat_id, error=str(error))


async def _sent(said: Command | Other, send: Send) -> bool:
    """Send, unless answers need the chat's turns."""
    if not await edits.leaves_room(said.chat_id):
        return False
    try:
        await send()
    except TelegramError as error:
        if not error.chat_full:
            raise
        return False
    return True
