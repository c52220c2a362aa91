"""Show an answered photo in another way, from its stored boxes: no job, no machine, within a second."""

from functools import partial

from django.conf import settings

from botsite.bot.answers import drawing
from botsite.bot.buttons import looks, presses
from botsite.bot.buttons.looks import Look
from botsite.bot.buttons.presses import look_button
from botsite.bot.telegram import api, edits
from botsite.bot.telegram.sending import Picture
from botsite.bot.words import found, replies
from botsite.threads import in_thread
from detection.picture import redrawn
from detection.record import exports
from detection.record.schemas import Prediction
from detection.record.sentences import noop
from detection.work import jobs

READING = noop("I'm reading it. The text comes in a moment.")
READ_ALREADY = noop("I've already read this photo, or I'm about to.")
SMALLER = noop("At its full size this file is too large for me to draw again, so it is smaller now.")


@look_button(looks.LOOK)
async def look(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Turn the message into the photo as it is wanted, and return what to tell. Raise TelegramError, Busy or ImageGone.

    A photo that was sent as a file stays one, at its full resolution.
    """
    drawn, keyboard = looks.drawn(prediction, wanted), looks.keyboard(prediction, wanted)
    _, full = await drawing.turn_into(message_id, drawn, caption(prediction, wanted), keyboard)
    return "" if full else SMALLER


@look_button(looks.MORE, messages=0)
async def more(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Put the other buttons under the answer."""
    await edits.change_keyboard(prediction.chat_id, message_id, looks.more_buttons(prediction, wanted))
    return ""


@look_button(looks.BACK, messages=0)
async def back(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Bring the answer's own buttons back."""
    await edits.change_keyboard(prediction.chat_id, message_id, looks.keyboard(prediction, wanted))
    return ""


@look_button(looks.ORIGINAL, once=True)
async def original(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send the photo as it is wanted at full resolution, as a file that answers the message. Raise as `look` does."""
    if not prediction.shrunk:
        return presses.UNKNOWN
    async with drawing.FILES.turn(prediction):
        picture = await drawing.undisturbed(partial(redrawn.original, *looks.drawn(prediction, wanted)))
        await _send_file(prediction, message_id, picture, caption(prediction, wanted), "detections.jpg")
    return ""


@look_button(looks.CROPS, messages=api.ALBUM_AT_MOST, once=True)
async def crops(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send the objects cut out, as an album that answers the message. Raise as `look` does."""
    cut = partial(redrawn.crops, *looks.drawn(prediction, wanted), api.ALBUM_AT_MOST)
    pictures = [Picture(crop, prediction.spoiler) for crop in await drawing.in_turn(prediction, cut)]
    await api.send_album(prediction.chat_id, pictures, reply_to=message_id, thread_id=prediction.thread_id)
    return ""


@look_button(looks.DATA, once=True)
async def data(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send what is shown as a ZIP of data for other programs. Raise as `look` does."""
    archive = await drawing.in_turn(prediction, partial(_archive, prediction, wanted))
    await _send_file(prediction, message_id, archive, "", "detections.zip")
    return ""


@look_button(looks.READ, once=True)
async def read(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Have a worker read what is written in the photo, which is answered as a photo is. Raise as `look` does."""
    del wanted
    if not settings.READ_TEXT or prediction.is_text:
        return presses.UNKNOWN
    asked = jobs.to_read(prediction, message_id)
    if await in_thread(jobs.find)(asked.prediction_id):
        return READ_ALREADY
    photo = await drawing.in_turn(prediction, partial(redrawn.photo, prediction))
    await in_thread(jobs.submit)(asked, photo)
    return READING


def _archive(prediction: Prediction, wanted: Look) -> bytes:
    return exports.archive(prediction, looks.shown(prediction, wanted), redrawn.size(prediction))


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


def caption(prediction: Prediction, wanted: Look) -> str:
    """Return the text under a look."""
    boxes, asked = looks.shown(prediction, wanted), looks.options(prediction, wanted)
    nothing = replies.none_of(asked.only) if asked.only else replies.nothing_found()
    text = found.caption(boxes, where=prediction.options.where) if boxes else nothing
    return found.followed(text, replies.of_heads(prediction, asked))
