"""Do what a pressed button asks for. A press always gets an answer, if only "that was too late"."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from botsite.bot.answers import deliver, waiting
from botsite.bot.buttons import complaints, deeper, looks, redraw
from botsite.bot.buttons.looks import Look
from botsite.bot.incoming import guests, limits, welcome
from botsite.bot.incoming.updates import Press
from botsite.bot.people import erase, history, knows, preferences
from botsite.bot.telegram import api, edits, rate_limit
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import language, replies
from botsite.bot.words.language import gettext
from detection import albums, images, items, predictions
from detection.schemas import Prediction, Status
from detection.sentences import noop

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)
NOT_YOURS = noop("Only the person who sent the photo can do that.")
TOO_LATE = noop("Too late: I'm looking at it already.")
ANSWERED = noop("This photo is answered already.")
GONE = noop("I don't have this photo any more.")
UNKNOWN = noop("I don't know this button any more. Send me the photo again.")
ALREADY = noop("You just asked for that.")
BUSY = noop("I'm busy in this group right now. Please try again in a moment.")
FAILED = noop("That didn't work just now. Please try again in a minute.")


# What a message does that is no answer to a photo, by the first word of its buttons.
_OTHERS = {
    erase.ERASE: erase.pressed,
    preferences.CHOOSE: preferences.pressed,
    history.HISTORY: history.pressed,
    knows.WHAT: knows.pressed,
}
_SHOWS = {
    looks.LOOK: redraw.look,
    looks.CROPS: redraw.crops,
    looks.DATA: redraw.data,
    looks.ORIGINAL: redraw.original,
    looks.DEEPER: deeper.look,
}
# These send something each time.
_SENDING = (looks.CROPS, looks.DATA, looks.ORIGINAL)
_AGAIN_SECONDS = 30.0
_ABOUT_PHOTO = (waiting.CANCEL, *_SHOWS, looks.WRONG, looks.BACK)


async def pressed(press: Press) -> None:
    """Act on a press and answer it. Telegram doesn't send a press again, so errors that pass aren't raised."""
    try:
        notice = await _act(press)
    except (TelegramError, redraw.Busy, limits.Busy, ClientError, BotoCoreError) as error:
        log.warning("press_failed", chat_id=press.chat_id, error=str(error))
        notice = gettext(FAILED)
    try:
        await edits.answer_press(press.query_id, notice)
    except TelegramError as error:
        log.info("press_not_answered", error=str(error))


async def _act(press: Press) -> str:
    """Return the notice to show, empty if the changed message says it all."""
    action, _, rest = press.data.partition(":")
    if other := _OTHERS.get(action):
        # Pressed again after the message has changed, or forged: the message may answer somebody else's photo.
        if press.gone and press.chat_id != press.pressed_by:
            return ""
        if action == knows.WHAT and not await edits.leaves_room(press.chat_id):
            return gettext(BUSY)
        return await other(press, rest)
    prediction_id, _, wanted = rest.partition(":")
    if action == guests.SHOW:
        return await guests.show(prediction_id, press.inline_message_id)
    if action not in _ABOUT_PHOTO:
        return gettext(UNKNOWN)
    if not welcome.welcome(welcome.of_press(press)):
        return gettext(NOT_YOURS)
    try:
        prediction = await _in_thread(predictions.find)(prediction_id) if predictions.possible(prediction_id) else None
    except items.Incomplete:
        return gettext(GONE)
    if prediction is None or prediction.chat_id != press.chat_id:
        return gettext(GONE)
    if not _theirs(press, prediction):
        return gettext(NOT_YOURS)
    if action == waiting.CANCEL:
        return await _cancel(prediction_id, press.chat_id, press.message_id)
    messages = api.ALBUM_AT_MOST if action == looks.CROPS else 1
    if action != looks.DEEPER and not await edits.leaves_room(press.chat_id, messages):
        return gettext(BUSY)
    return await _show(action, prediction, wanted, press)


def _theirs(press: Press, prediction: Prediction) -> bool:
    """Return whether the photo and the message are the presser's; in a private chat both are.

    An altered app sends what it likes, so the message has to answer the presser; if what it answers was deleted, it has
    to have the button. Who sent the photo isn't known of items of earlier releases.
    """
    if press.chat_id == press.pressed_by:
        return True
    asked_by = prediction.sender_id if press.asked_by is None and not press.gone else press.asked_by
    return press.pressed_by == asked_by == (prediction.sender_id or asked_by)


async def _show(action: str, prediction: Prediction, wanted: str, press: Press) -> str:
    """Show the photo in another way; return what to tell if that can't be."""
    try:
        written, _, word = wanted.partition(":")
        look = looks.read(prediction, written)
        if look is None or (word and not complaints.known(prediction, word)):
            return gettext(UNKNOWN)
        if action == looks.ORIGINAL and not prediction.shrunk:
            return gettext(UNKNOWN)
        if action == looks.WRONG:
            return await _complain(prediction, press.message_id, look, word)
        # The notice is for the person who presses; the message stays in its language.
        with language.speaking(prediction.language):
            if action == looks.BACK:
                await edits.change_keyboard(press.chat_id, press.message_id, looks.keyboard(prediction, look))
                notice = ""
            else:
                # In English so far.
                show = partial(_SHOWS[action], prediction, press.message_id, look)
                notice = await (_once(press, show) if action in _SENDING else show())
    except (items.Incomplete, images.ImageGone) as error:
        log.info("photo_not_shown", error=str(error))
        return gettext(GONE)
    # A limit has its values in place.
    return replies.failure(notice) if notice else ""


async def _once(press: Press, show: Callable[[], Awaitable[str]]) -> str:
    """Send what a press asks for, unless the same was asked for just now, perhaps of another site."""
    # Its key doesn't name the chat, of which nothing may be left after /delete_my_data.
    asked = rate_limit.Limit(f"pressed#{hashlib.sha256(press.data.encode()).hexdigest()[:32]}", 0.0, 1)
    if not await _in_thread(rate_limit.idle)(asked, _AGAIN_SECONDS):
        return ALREADY
    try:
        return await show()
    except Exception:
        await _in_thread(rate_limit.forget)(asked)
        raise


async def _complain(prediction: Prediction, message_id: int, look: Look, word: str) -> str:
    if word:
        return await complaints.take(prediction, message_id, look, word)
    return await complaints.ask(prediction, message_id, look)


async def _cancel_album(acknowledged: Prediction) -> str:
    """Cancel the photos of an album that nobody has begun."""
    album = await _in_thread(albums.find)(acknowledged.album_id or "")
    members = [member.prediction_id for member in album.members] if album else [acknowledged.prediction_id]
    cancelled = await asyncio.gather(*(_in_thread(predictions.cancel)(one, acknowledged.chat_id) for one in members))
    stopped = [one.prediction for one in cancelled if one.prediction and one.prediction.cancelled]
    if not stopped:
        return gettext(
            TOO_LATE if any(one.prediction and not one.prediction.delivered for one in cancelled) else ANSWERED
        )
    await deliver.deliver(stopped[0].prediction_id, at_once=True)
    return ""


async def _cancel(prediction_id: str, chat_id: int, message_id: int) -> str:
    try:
        found = (await _in_thread(predictions.cancel)(prediction_id, chat_id)).prediction
        if found and found.album_id and found.chat_id == chat_id:
            return await _cancel_album(found)
    except items.Incomplete:
        return gettext(GONE)
    if found is None or found.chat_id != chat_id:
        return gettext(GONE)
    if found.cancelled:
        # Pressed twice, perhaps: the second one finds it delivered.
        await deliver.deliver(prediction_id)
    if found.finished and message_id != found.status_message_id:
        # The site that sent it ended before it had recorded it: no answer will take its place.
        await edits.delete(chat_id, message_id)
    if found.cancelled:
        return ""
    return gettext(TOO_LATE if found.status is Status.PROCESSING else ANSWERED)
