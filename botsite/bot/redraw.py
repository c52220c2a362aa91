"""Show an answered photo in another way, from its stored boxes: no job, no machine, within a second."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from asgiref.sync import sync_to_async

from botsite.bot import api, edits, found, looks, replies
from botsite.bot.looks import Look
from detection import exports, images
from detection.schemas import Prediction

if TYPE_CHECKING:
    from detection.picture.pixels import OrdinaryJpeg
    from detection.picture.render import Scene

_in_thread = sync_to_async(thread_sensitive=False)
# A site draws one picture at a time: a decoded photo takes megabytes. So many wait for it at most, of all chats and of
# one: whoever presses all the time keeps nobody else from it.
_drawing = asyncio.Semaphore(1)
_WAITING_AT_MOST, _OF_CHAT_AT_MOST = 16, 2
_waiting: Counter[int] = Counter()
T = TypeVar("T")


class Busy(Exception):
    """Too many pictures wait to be drawn."""


async def look(prediction: Prediction, message_id: int, wanted: Look) -> None:
    """Turn the message into the photo as it is wanted. Raise TelegramError, Busy or images.ImageGone."""
    picture = await _drawn(_picture, prediction, wanted)
    boxes = looks.shown(prediction, wanted)
    caption = found.caption(boxes) if boxes else replies.nothing_found()
    await edits.turn_into_photo(
        prediction.chat_id, message_id, picture, caption, keyboard=looks.keyboard(prediction, wanted)
    )


async def crops(prediction: Prediction, message_id: int, wanted: Look) -> None:
    """Send the objects cut out, as an album that answers the message. Raise as `look` does."""
    await api.send_album(
        prediction.chat_id, await cut_out(prediction, wanted), reply_to=message_id, thread_id=prediction.thread_id
    )


async def cut_out(prediction: Prediction, wanted: Look) -> list[bytes]:
    """Return the first objects that are shown as JPEGs. Raise Busy or images.ImageGone."""
    return await _drawn(_crops, prediction, wanted)


async def data(prediction: Prediction, message_id: int, wanted: Look) -> None:
    """Send what is shown as a ZIP of data for other programs. Raise as `look` does."""
    archive = await _drawn(_archive, prediction, wanted)
    await api.send_image(
        prediction.chat_id,
        archive,
        "",
        form="document",
        name="detections.zip",
        reply_to=message_id,
        thread_id=prediction.thread_id,
    )


async def _drawn(work: Callable[[Prediction, Look], T], prediction: Prediction, wanted: Look) -> T:
    """Do the work in a thread, in turn with others."""
    chat = prediction.chat_id
    if _waiting.total() >= _WAITING_AT_MOST or _waiting[chat] >= _OF_CHAT_AT_MOST:
        raise Busy
    _waiting[chat] += 1
    try:
        async with _drawing:
            return await _in_thread(work)(prediction, wanted)
    finally:
        _waiting[chat] -= 1
        if not _waiting[chat]:
            del _waiting[chat]


def _picture(prediction: Prediction, wanted: Look) -> bytes:
    from detection.picture import render

    return render.picture(_scene(prediction), looks.shown(prediction, wanted), wanted.options)


def _crops(prediction: Prediction, wanted: Look) -> list[bytes]:
    from detection.picture import render

    return render.crops(_scene(prediction), looks.shown(prediction, wanted), api.ALBUM_AT_MOST)


def _archive(prediction: Prediction, wanted: Look) -> bytes:
    photo = _photo(prediction)
    return exports.archive(prediction, looks.shown(prediction, wanted), (photo.width, photo.height))


def _scene(prediction: Prediction) -> "Scene":
    from detection.picture.render import Scene

    image = _photo(prediction).decode()
    if image is None:
        raise images.ImageGone("the photo cannot be decoded here")
    return Scene(image, prediction.candidates, prediction.classes)


def _photo(prediction: Prediction) -> "OrdinaryJpeg":
    """Return the photo; for a file that no site decodes, the worker's copy of it. Raise images.ImageGone."""
    # The libraries take 40 MB, which a site spends once somebody presses a button.
    from detection.picture import pixels

    for key in (prediction.image_key, prediction.copy_key):
        if jpeg := pixels.ordinary_jpeg(images.get(key)):
            return jpeg
    raise images.ImageGone("there is no copy that a site decodes")
