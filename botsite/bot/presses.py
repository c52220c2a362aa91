"""Do what a pressed button asks for. A press always gets an answer, if only "that was too late"."""

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from botsite.bot import acknowledge, deliver, edits
from botsite.bot.errors import TelegramError
from botsite.bot.language import gettext
from botsite.bot.updates import Press
from detection import items, predictions, sentences
from detection.schemas import Status
from detection.sentences import noop

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)
NOT_YOURS = noop("Only the person who sent the photo can do that.")
TOO_LATE = noop("Too late: I'm looking at it already.")
ANSWERED = noop("This photo is answered already.")
GONE = noop("I don't have this photo any more.")
UNKNOWN = noop("I don't know this button any more. Send me the photo again.")
FAILED = noop("That didn't work just now. Please try again in a minute.")


async def pressed(press: Press) -> None:
    """Act, and end the waiting of whoever pressed. A press isn't repeated: it raises nothing that passes."""
    try:
        notice = await _act(press)
    except (TelegramError, ClientError, BotoCoreError) as error:
        log.warning("press_failed", chat_id=press.chat_id, error=str(error))
        notice = gettext(FAILED)
    try:
        await edits.answer_press(press.query_id, notice)
    except TelegramError as error:
        log.info("press_not_answered", error=str(error))


async def _act(press: Press) -> str:
    """Return what to tell whoever pressed; empty if the message shows it."""
    action, _, prediction_id = press.data.partition(":")
    if action != acknowledge.CANCEL:
        return gettext(UNKNOWN)
    if press.asked_by is not None and press.pressed_by != press.asked_by:
        return gettext(NOT_YOURS)
    return await _cancel(prediction_id, press.chat_id)


async def _cancel(prediction_id: str, chat_id: int) -> str:
    if not predictions.possible(prediction_id):
        return gettext(GONE)
    try:
        cancelled = await _in_thread(predictions.cancel)(prediction_id, chat_id)
    except items.Incomplete:
        return gettext(GONE)
    found = cancelled.prediction
    if found is None or found.chat_id != chat_id:
        return gettext(GONE)
    if found.error == sentences.CANCELLED:
        # Pressed twice, perhaps: the second one finds it delivered.
        await deliver.deliver(prediction_id)
        return ""
    return gettext(TOO_LATE if found.status is Status.PROCESSING else ANSWERED)
