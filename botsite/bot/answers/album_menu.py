"""Offer the photos of an answered album one by one: Telegram gives an album no buttons, so a line behind it has them.

The line is no answer. It is sent at most once, when the chat has a turn to spare, and is left out if that takes long.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from botsite import in_flight
from botsite.bot.telegram import api, edits
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Button, Keyboard
from botsite.language import gettext
from detection.record.albums import Album
from detection.record.schemas import Form, Prediction
from detection.record.sentences import noop

log = structlog.get_logger()

OPEN = "open"
LINE = noop("Tap a number to see that photo with its buttons.")
NOT_ALL_CUT_OUT = noop("Some cut-outs didn't fit. Tap a number to see that photo with its buttons.")
_IN_ROW = 5
# An album of ten takes as many of its chat's turns: the line comes after ten seconds, in a group after forty.
_WITHIN_SECONDS, _AGAIN_SECONDS = 45.0, 3.0


def offer(album: Album, shown: Sequence[Prediction], places: Mapping[str, int]) -> None:
    """Send the line behind the album in the background; not behind data, which has no buttons."""
    if any(each.options.form is not Form.JSON for each in shown):
        in_flight.start(_offer(shown, keyboard(album, shown), places[shown[0].prediction_id]))


def keyboard(album: Album, shown: Sequence[Prediction]) -> Keyboard:
    """Return a button for each photo, with the number by which its sender counts it."""
    numbers = album.numbers()
    buttons = [Button(str(numbers[each.prediction_id]), f"{OPEN}:{each.prediction_id}") for each in shown]
    return [buttons[start : start + _IN_ROW] for start in range(0, len(buttons), _IN_ROW)]


def line(shown: Sequence[Prediction]) -> str:
    """Return the text over the numbers, which says so if the album had no room for everything that was asked for."""
    asked = sum(len(each.detections) for each in shown if each.options.form is Form.CROPS)
    return gettext(NOT_ALL_CUT_OUT if asked > api.ALBUM_AT_MOST - len(shown) else LINE)


async def _offer(shown: Sequence[Prediction], buttons: Keyboard, album_message_id: int) -> None:
    first, end = shown[0], time.monotonic() + _WITHIN_SECONDS
    wait: float | None = _AGAIN_SECONDS
    while wait and time.monotonic() + wait < end:
        try:
            if await edits.leaves_room(first.chat_id):
                text, topic = line(shown), first.thread_id
                await api.send_text(
                    first.chat_id, text, album_message_id, thread_id=topic, keyboard=buttons, before=end
                )
                return
        except (TelegramError, ClientError, BotoCoreError) as error:
            log.info("album_menu_postponed", chat_id=first.chat_id, error=str(error))
            # Without a time to wait for, it may have arrived.
            wait = getattr(error, "retry_after_seconds", None)
        await asyncio.sleep(wait or 0)
