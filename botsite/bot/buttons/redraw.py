"""Show an answered photo in another way, from its stored boxes: no job, no machine, within a second."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import structlog
from asgiref.sync import sync_to_async

from botsite.bot.buttons import looks
from botsite.bot.buttons.looks import Look
from botsite.bot.telegram import api, edits
from botsite.bot.words import found, replies
from detection import exports, images
from detection.schemas import Prediction
from detection.sentences import noop

if TYPE_CHECKING:
    from detection.picture.pixels import OrdinaryJpeg
    from detection.picture.render import Scene

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)
# More than this is scaled down.
_FILE_AT_MOST_BYTES = 25_000_000
# Of the same person or chat: somebody who presses all the time keeps nobody else from it.
_OF_ONE_AT_MOST = 2
SMALLER = noop("At its full size this file is too large for me to draw again, so it is smaller now.")
T = TypeVar("T")


class Busy(Exception):
    """Too many pictures wait to be drawn."""


class _Turns:
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


# A site draws one picture at a time: a decoded photo takes megabytes.
_drawings = _Turns(16)
# It has one file at a time on its way, which takes its size two or three times, and minutes perhaps.
_files = _Turns(6)


async def look(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Turn the message into the photo as it is wanted, and return what to tell. Raise TelegramError, Busy or ImageGone.

    A photo that was sent as a file stays one, at its full resolution.
    """
    chat_id, text, keyboard = prediction.chat_id, _caption(prediction, wanted), looks.keyboard(prediction, wanted)
    if not prediction.as_file:
        picture = await _drawn(_picture, prediction, wanted)
        await edits.turn_into_photo(chat_id, message_id, picture, text, keyboard=keyboard)
        return ""
    async with _files.turn(prediction):
        picture, full = await _undisturbed(_full, prediction, wanted)
        await edits.turn_into_document(chat_id, message_id, picture, text, keyboard=keyboard)
    return "" if full else SMALLER


async def original(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send the photo as it is wanted at full resolution, as a file that answers the message. Raise as `look` does."""
    async with _files.turn(prediction):
        picture = await _undisturbed(_original, prediction, wanted)
        await api.send_image(
            prediction.chat_id,
            picture,
            _caption(prediction, wanted),
            form="document",
            name="detections.jpg",
            reply_to=message_id,
            thread_id=prediction.thread_id,
        )
    return ""


def _caption(prediction: Prediction, wanted: Look) -> str:
    if boxes := looks.shown(prediction, wanted):
        return found.caption(boxes)
    only = looks.options(prediction, wanted).only
    return replies.none_of(only) if only else replies.nothing_found()


async def crops(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send the objects cut out, as an album that answers the message. Raise as `look` does."""
    await api.send_album(
        prediction.chat_id,
        await _drawn(_crops, prediction, wanted),
        reply_to=message_id,
        thread_id=prediction.thread_id,
    )
    return ""


async def cut_out(prediction: Prediction, wanted: Look) -> list[bytes]:
    """Return the first objects that are shown as JPEGs, for an answer, however many presses wait. Raise ImageGone."""
    return await _undisturbed(_crops, prediction, wanted)


async def data(prediction: Prediction, message_id: int, wanted: Look) -> str:
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
    return ""


async def _drawn(work: Callable[[Prediction, Look], T], prediction: Prediction, wanted: Look) -> T:
    """Do the work in a thread, in turn with others. Raise Busy."""
    async with _drawings.turn(prediction):
        return await _in_thread(work)(prediction, wanted)


async def _undisturbed(work: Callable[[Prediction, Look], T], prediction: Prediction, wanted: Look) -> T:
    """Do the work in a thread, for an answer, or for one who has a turn already."""
    async with _drawings.alone:
        return await _in_thread(work)(prediction, wanted)


def _picture(prediction: Prediction, wanted: Look) -> bytes:
    from detection.picture import render

    return render.picture(_scene(prediction), looks.shown(prediction, wanted), looks.options(prediction, wanted))


def _full(prediction: Prediction, wanted: Look) -> tuple[bytes, bool]:
    """Return the picture of a file, and whether it has the file's full resolution."""
    from detection.picture import full_size, strips

    stored = _stored(prediction.copy_key)
    copy = strips.read(stored) if stored else None
    if copy is None:
        # A worker of the release before, or a file that can't be decoded at its full size.
        return _picture(prediction, wanted), False
    for shrink in (1, 2, 4):
        size = -(-copy.width // shrink), -(-copy.height // shrink)
        try:
            blocks = full_size.people(copy.small(), prediction.candidates, size) if wanted.blur else []
            picture = full_size.FullPicture(
                size,
                looks.shown(prediction, wanted),
                prediction.classes,
                labelled=wanted.labels,
                blocks=blocks,
                at_most_bytes=_FILE_AT_MOST_BYTES,
            )
            for rows in copy.strips(shrink):
                picture.add(rows)
            return picture.finish(), shrink == 1
        except (strips.TooLarge, ValueError) as error:
            # Too many bytes, or a damaged copy.
            log.info("full_picture_too_large", shrink=shrink, reason=str(error))
    return _picture(prediction, wanted), False


def _original(prediction: Prediction, wanted: Look) -> bytes:
    from detection.picture import full_size, pixels

    jpeg = pixels.ordinary_jpeg(images.get(prediction.image_key))
    image = jpeg.decode(least_side=math.inf) if jpeg else None
    if image is None:
        raise images.ImageGone("the photo cannot be decoded here")
    height, width = image.shape[:2]
    blocks = full_size.people(image, prediction.candidates, (width, height)) if wanted.blur else []
    picture = full_size.FullPicture(
        (width, height), looks.shown(prediction, wanted), prediction.classes, labelled=wanted.labels, blocks=blocks
    )
    picture.add(image)
    return picture.finish()


def _crops(prediction: Prediction, wanted: Look) -> list[bytes]:
    from detection.picture import render

    shown, options = looks.shown(prediction, wanted), looks.options(prediction, wanted)
    return render.crops(_scene(prediction), shown, api.ALBUM_AT_MOST, options)


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
    """Return the photo; for a file, the worker's copy of it. Raise images.ImageGone."""
    # The libraries take 40 MB, which a site spends once somebody presses a button.
    from detection.picture import pixels, strips

    keys = (prediction.image_key, prediction.copy_key)
    for key in reversed(keys) if prediction.as_file else keys:
        stored = _stored(key)
        if stored and (copy := strips.read(stored)):
            return copy.whole
        if stored and (jpeg := pixels.ordinary_jpeg(stored)):
            return jpeg
    raise images.ImageGone("there is no copy that a site decodes")


def _stored(key: str) -> bytearray | None:
    try:
        return images.get(key)
    except images.ImageGone:
        return None
