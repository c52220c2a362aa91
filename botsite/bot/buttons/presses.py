"""Do what a pressed button asks for. A press always gets an answer, if only "that was too late".

A feature registers its buttons by the first word of their data: with `button`, or, under the answer to a photo, with
`photo_button`, which calls it with the photo once it is clear whose it is, or `look_button`, which calls it with the
look that the button leads to.
"""

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from botsite import language, rate_limit
from botsite.bot.answers import drawing
from botsite.bot.buttons import looks
from botsite.bot.buttons.looks import Look
from botsite.bot.incoming import welcome
from botsite.bot.incoming.updates import Press
from botsite.bot.telegram import edits
from botsite.bot.telegram.errors import TelegramError
from botsite.language import gettext
from botsite.threads import in_thread
from detection.record import images, items, predictions
from detection.record.schemas import Prediction
from detection.record.sentences import noop

log = structlog.get_logger()

NOT_YOURS = noop("Only the person who sent this photo, or asked about it, can use these buttons.")
GONE = noop("I don't have this photo any more.")
UNKNOWN = noop("I don't know this button any more. Send me the photo again.")
ALREADY = noop("You just asked for that.")
BUSY = noop("I'm busy in this group right now. Please try again in a moment.")
FAILED = noop("That didn't work just now. Please try again in a minute.")
_AGAIN_SECONDS = 30.0

# What a button does, called with what its data holds behind the first word; each returns the notice to show, empty if
# the changed message says it all.
Act = Callable[[Press, str], Awaitable[str]]
ActOnPhoto = Callable[[Prediction, Press, str], Awaitable[str]]
# Called with the message that holds the button, too. Its notice is in English.
Show = Callable[[Prediction, int, Look], Awaitable[str]]
A = TypeVar("A", bound=Act)
P = TypeVar("P", bound=ActOnPhoto)
S = TypeVar("S", bound=Show)
_BUTTONS: dict[str, Act] = {}
_PHOTO_BUTTONS: dict[str, ActOnPhoto] = {}


def button(word: str) -> Callable[[A], A]:
    """Register what a message does that is no answer to a photo."""

    def register(act: A) -> A:
        _BUTTONS[word] = act
        return act

    return register


def photo_button(word: str, *, messages: int = 0) -> Callable[[P], P]:
    """Register what a button under an answer does, and for how many messages a group must have room for that."""

    def register(act: P) -> P:
        async def where_there_is_room(prediction: Prediction, press: Press, wanted: str) -> str:
            if messages and not await edits.leaves_room(press.chat_id, messages):
                return gettext(BUSY)
            return await act(prediction, press, wanted)

        _PHOTO_BUTTONS[word] = where_there_is_room
        return act

    return register


def look_button(word: str, *, messages: int = 1, once: bool = False) -> Callable[[S], S]:
    """Register what shows a photo in some way; `once`: it sends something, once for somebody who presses twice."""

    def register(show: S) -> S:
        async def in_its_language(prediction: Prediction, press: Press, wanted: str) -> str:
            look = looks.read(prediction, wanted)
            if look is None:
                return gettext(UNKNOWN)
            # The notice is for the person who presses; the message stays in its language.
            with language.speaking(prediction.language):
                shown = partial(show, prediction, press.message_id, look)
                notice = await (only_once(press, shown) if once else shown())
            return gettext(notice)

        photo_button(word, messages=messages)(in_its_language)
        return show

    return register


async def pressed(press: Press) -> None:
    """Act on a press and answer it. Telegram doesn't send a press again, so errors that pass aren't raised."""
    try:
        notice = await _act(press)
    except (TelegramError, drawing.Busy, ClientError, BotoCoreError) as error:
        log.warning("press_failed", chat_id=press.chat_id, error=str(error))
        notice = gettext(FAILED)
    try:
        await edits.answer_press(press.query_id, notice)
    except TelegramError as error:
        log.info("press_not_answered", error=str(error))


async def _act(press: Press) -> str:
    word, _, rest = press.data.partition(":")
    if act := _BUTTONS.get(word):
        # Pressed again after the message has changed, or forged: the message may answer somebody else's photo.
        return "" if press.gone and press.chat_id != press.pressed_by else await act(press, rest)
    if (of_photo := _PHOTO_BUTTONS.get(word)) is None:
        return gettext(UNKNOWN)
    try:
        return await _act_on_photo(press, of_photo, rest)
    except (items.Incomplete, images.ImageGone) as error:
        log.info("photo_not_shown", error=str(error))
        return gettext(GONE)


async def _act_on_photo(press: Press, act: ActOnPhoto, data: str) -> str:
    if not welcome.welcome(welcome.of_press(press)):
        return gettext(NOT_YOURS)
    prediction_id, _, wanted = data.partition(":")
    prediction = await in_thread(predictions.find)(prediction_id) if predictions.possible(prediction_id) else None
    if prediction is None or prediction.chat_id != press.chat_id:
        return gettext(GONE)
    if not _theirs(press, prediction):
        return gettext(NOT_YOURS)
    return await act(prediction, press, wanted)


def _theirs(press: Press, prediction: Prediction) -> bool:
    """Return whether the message is about the photo, and the presser sent it or asked about it; in private both are so.

    An altered app sends what it likes, so the message has to answer the presser; if what it answers was deleted, it has
    to have the button. Who sent the photo isn't known of items of earlier releases.
    """
    if press.chat_id == press.pressed_by:
        return True
    asked_by = prediction.sender_id if press.asked_by is None and not press.gone else press.asked_by
    theirs = press.pressed_by in (asked_by, prediction.author_id)
    return theirs and asked_by is not None and asked_by == (prediction.sender_id or asked_by)


async def only_once(press: Press, show: Callable[[], Awaitable[str]]) -> str:
    """Send what a press asks for, unless the same was asked for just now, perhaps of another site."""
    # Its key doesn't name the chat, of which nothing may be left after /delete_my_data.
    asked = rate_limit.Limit(f"pressed#{hashlib.sha256(press.data.encode()).hexdigest()[:32]}", 0.0, 1)
    if not await in_thread(rate_limit.idle)(asked, _AGAIN_SECONDS):
        return ALREADY
    try:
        return await show()
    except Exception:
        await in_thread(rate_limit.forget)(asked)
        raise
