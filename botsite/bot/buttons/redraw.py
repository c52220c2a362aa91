"""Show an answered photo in another way, from its stored boxes: no job, no machine, within a second.

What is stored of a photo ends at 10 %. Below that the model looks again: a new job with an answer of its own. Its id is
derived from the first one's, so a photo is looked at once more at most, however often the button is pressed.
"""

import hashlib
import hmac
from functools import partial

from django.conf import settings

from botsite import pause
from botsite.bot.answers import drawing, waiting
from botsite.bot.buttons import looks, presses
from botsite.bot.buttons.looks import Look
from botsite.bot.buttons.presses import look_button
from botsite.bot.incoming import limits, welcome
from botsite.bot.telegram import api, edits
from botsite.bot.words import found, replies
from botsite.threads import in_thread
from detection.record import deletions, exports, images, times
from detection.record.reasons import Reason
from detection.record.schemas import Prediction
from detection.record.sentences import noop
from detection.work import jobs, operations

SMALLER = noop("At its full size this file is too large for me to draw again, so it is smaller now.")
LOOKING = noop("I'll look at it once more.")
LOOKED = noop("I've looked at it once more already.")


@look_button(looks.LOOK)
async def look(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Turn the message into the photo as it is wanted, and return what to tell. Raise TelegramError, Busy or ImageGone.

    A photo that was sent as a file stays one, at its full resolution.
    """
    chat_id, text, keyboard = prediction.chat_id, _caption(prediction, wanted), looks.keyboard(prediction, wanted)
    if not prediction.as_file:
        picture = await drawing.in_turn(prediction, partial(drawing.picture, *looks.drawn(prediction, wanted)))
        await edits.turn_into_photo(chat_id, message_id, picture, text, keyboard=keyboard)
        return ""
    async with drawing.FILES.turn(prediction):
        picture, full = await drawing.undisturbed(partial(drawing.full, *looks.drawn(prediction, wanted)))
        await edits.turn_into_document(chat_id, message_id, picture, text, keyboard=keyboard)
    return "" if full else SMALLER


@look_button(looks.ORIGINAL, once=True)
async def original(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send the photo as it is wanted at full resolution, as a file that answers the message. Raise as `look` does."""
    if not prediction.shrunk:
        return presses.UNKNOWN
    async with drawing.FILES.turn(prediction):
        picture = await drawing.undisturbed(partial(drawing.original, *looks.drawn(prediction, wanted)))
        await _send_file(prediction, message_id, picture, _caption(prediction, wanted), "detections.jpg")
    return ""


@look_button(looks.CROPS, messages=api.ALBUM_AT_MOST, once=True)
async def crops(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send the objects cut out, as an album that answers the message. Raise as `look` does."""
    cut = partial(drawing.crops, *looks.drawn(prediction, wanted), api.ALBUM_AT_MOST)
    await api.send_album(
        prediction.chat_id,
        await drawing.in_turn(prediction, cut),
        reply_to=message_id,
        thread_id=prediction.thread_id,
    )
    return ""


@look_button(looks.DATA, once=True)
async def data(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send what is shown as a ZIP of data for other programs. Raise as `look` does."""
    archive = await drawing.in_turn(prediction, partial(_archive, prediction, wanted))
    await _send_file(prediction, message_id, archive, "", "detections.zip")
    return ""


def _archive(prediction: Prediction, wanted: Look) -> bytes:
    return exports.archive(prediction, looks.shown(prediction, wanted), drawing.size(prediction))


async def _send_file(prediction: Prediction, message_id: int, content: bytes, caption: str, name: str) -> None:
    await api.send_image(
        prediction.chat_id,
        content,
        caption,
        form="document",
        name=name,
        reply_to=message_id,
        thread_id=prediction.thread_id,
    )


def _caption(prediction: Prediction, wanted: Look) -> str:
    if boxes := looks.shown(prediction, wanted):
        return found.caption(boxes)
    only = looks.options(prediction, wanted).only
    return replies.none_of(only) if only else replies.nothing_found()


@look_button(looks.DEEPER, messages=0)
async def look_deeper(prediction: Prediction, message_id: int, wanted: Look) -> str | Reason:
    """Send the job, and return what to tell, in English. Raise images.ImageGone, limits.Busy or botocore's errors.

    It counts as a photo of the person's.
    """
    del message_id
    if prediction.floor_percent:
        return LOOKED
    if await in_thread(images.head)(prediction.image_key, 1) is None:
        raise images.ImageGone(f"{prediction.image_key} is not there any more")
    again, person = _deeper(prediction, wanted), prediction.sender_id or prediction.chat_id
    if not await in_thread(jobs.find)(again.prediction_id):
        reached = await in_thread(limits.take)(person, again.prediction_id)
        if reached:
            return welcome.reason(reached)
    created = await in_thread(jobs.submit_stored)(again)
    # A deletion that has begun since may have looked before this was stored.
    whose, came_at = (prediction.chat_id, prediction.sender_id), times.latest(prediction.created_at)
    if await in_thread(deletions.covers)(*whose, came_at, prediction.author_id):
        await in_thread(operations.delete)(again.prediction_id)
        raise images.ImageGone(f"{prediction.prediction_id} was deleted")
    stored = created.prediction
    if stored is None or stored.finished:
        return LOOKED
    if created.granted and not await in_thread(pause.current)() and await in_thread(waiting.needed)():
        await waiting.acknowledge(stored)
    return LOOKING


def _deeper(prediction: Prediction, wanted: Look) -> Prediction:
    """Return a prediction for the same photo, in the same message, that is shown as the look but for its confidence."""
    return Prediction(
        _derived(prediction.prediction_id),
        prediction.chat_id,
        prediction.message_id,
        image_key=prediction.image_key,
        photo_bytes=prediction.photo_bytes,
        sender_id=prediction.sender_id,
        author_id=prediction.author_id,
        thread_id=prediction.thread_id,
        language=prediction.language,
        as_file=prediction.as_file,
        floor_percent=looks.DEEPEST,
        received_at=times.now(),
        options=looks.options(prediction, wanted.at(looks.DEEPEST)),
    )


def _derived(prediction_id: str) -> str:
    identity = f"{prediction_id}:{looks.DEEPER}"
    return hmac.new(settings.PREDICTION_ID_KEY.encode(), identity.encode(), hashlib.sha256).hexdigest()[:32]
