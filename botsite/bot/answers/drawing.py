"""Draw an answered photo again, from its stored boxes: one picture at a time, as a decoded photo takes megabytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from botsite.bot.buttons.looks import Drawn
from botsite.bot.telegram import edits
from botsite.bot.telegram.sending import Keyboard
from botsite.threads import in_thread
from detection.picture import redrawn
from detection.record.schemas import Prediction

# Of the same person or chat: somebody who presses all the time keeps nobody else from it.
_OF_ONE_AT_MOST = 2
T = TypeVar("T")


class Busy(Exception):
    """Too many pictures wait to be drawn."""


class Turns:
    """Presses take turns, and so many wait at most."""

    def __init__(self, at_most: int) -> None:
        self.alone, self._at_most = asyncio.Semaphore(1), at_most
        self._waiting: list[set[int]] = []

    @asynccontextmanager
    async def turn(self, prediction: Prediction) -> AsyncIterator[None]:
        """Wait for a turn. Raise Busy if others, or the same person or chat, wait for one already."""
        who = {prediction.chat_id, prediction.sender_id or prediction.chat_id}
        theirs = [each for each in self._waiting if each & who]
        if len(self._waiting) >= self._at_most or len(theirs) >= _OF_ONE_AT_MOST:
            raise Busy
        self._waiting.append(who)
        try:
            async with self.alone:
                yield
        finally:
            self._waiting.remove(who)


PICTURES = Turns(16)
# One file at a time is on its way, which takes its size two or three times, and minutes perhaps.
FILES = Turns(6)


async def in_turn(prediction: Prediction, draw: Callable[[], T]) -> T:
    """Draw in a thread, in turn with others. Raise Busy, or images.ImageGone."""
    async with PICTURES.turn(prediction):
        return await in_thread(draw)()


async def undisturbed(draw: Callable[[], T]) -> T:
    """Draw in a thread for an answer, or for somebody who has a turn already, however many presses wait."""
    async with PICTURES.alone:
        return await in_thread(draw)()


async def turn_into(message_id: int, drawn: Drawn, caption: str, keyboard: Keyboard) -> tuple[bytes, bool]:
    """Turn a message into what is drawn; return that, and False if it had to be smaller than the file.

    A photo that was sent as a file stays one, at its full resolution. Raise TelegramError, Busy or images.ImageGone.
    """
    prediction, *_ = drawn
    if not prediction.as_file:
        image = await in_turn(prediction, partial(redrawn.picture, *drawn))
        await edits.turn_into_photo(
            prediction.chat_id, message_id, image, caption, keyboard=keyboard, spoiler=prediction.spoiler
        )
        return image, True
    async with FILES.turn(prediction):
        image, whole = await undisturbed(partial(redrawn.full, *drawn))
        await edits.turn_into_document(prediction.chat_id, message_id, image, caption, keyboard=keyboard)
    return image, whole
