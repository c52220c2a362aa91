"""Act on an update. When `receive` returns, what it asked for is durable or answered; if it raises, send it again."""

import asyncio
import hashlib
import hmac

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings

from botsite import telegram
from detection import headers, jobs, predictions
from detection.schemas import Prediction

from . import deliver, replies
from .incoming import MAX_FILE_BYTES, Command, Other, Photo

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)


class Refused(Exception):
    """This photo cannot be worked on; the text is a sentence for its sender."""


async def receive(incoming: Photo | Command | Other) -> None:
    """Do what an update asks for. Raise TelegramError or botocore's errors if it has to come again."""
    match incoming:
        case Photo():
            await _photo(incoming)
        case Command():
            await _say(incoming, _command(incoming.name))
        case Other():
            await _say(incoming, replies.no_photo(incoming.kind))


async def give_up(incoming: Photo | Command | Other) -> None:
    """Apologise for what could not be done. Raise as `receive` does."""
    await _say(incoming, replies.GAVE_UP)


def prediction_id(bot_id: int, photo: Photo) -> str:
    """Return the id of the prediction for this photo in this message: 32 hexadecimal digits.

    Derived, so that a repeated update finds its own item; with a key, so that nobody can guess another's.
    """
    identity = f"{bot_id}:{photo.chat_id}:{photo.message_id}:{photo.file_unique_id}"
    return hmac.new(settings.PREDICTION_ID_KEY.encode(), identity.encode(), hashlib.sha256).hexdigest()[:32]


async def _photo(photo: Photo) -> None:
    bot_id = await _in_thread(telegram.bot_id)()
    identity = prediction_id(bot_id, photo)
    with structlog.contextvars.bound_contextvars(prediction_id=identity):
        known = await _in_thread(jobs.find)(identity)
        if known:
            log.info("photo_repeated")
            if known.finished:
                await deliver.deliver(identity)
            return
        prediction = Prediction(
            identity, photo.chat_id, photo.message_id, image_key=f"photos/{identity}", received_at=predictions.now()
        )
        try:
            data = await _fetch(photo)
        except Refused as error:
            await _in_thread(jobs.refuse)(prediction, str(error))
            await deliver.deliver(identity)
            return
        await asyncio.gather(_in_thread(jobs.submit)(prediction, data), _show_activity(photo.chat_id))


async def _fetch(photo: Photo) -> bytes:
    """Download the photo and look at its header. Raise Refused if it cannot be had or is none."""
    if photo.file_bytes and photo.file_bytes > MAX_FILE_BYTES:
        raise Refused(replies.TOO_LARGE.format(megabytes=photo.file_bytes / 1024**2))
    try:
        data = await telegram.download(photo.file_id)
        await _in_thread(headers.read)(data)
    except telegram.TelegramError as error:
        if not error.permanent:
            raise
        log.warning("photo_unavailable", error=str(error))
        raise Refused(replies.UNAVAILABLE) from error
    except headers.UnreadableImage as error:
        raise Refused(str(error)) from error
    return data


async def _show_activity(chat_id: int) -> None:
    try:
        await telegram.show_activity(chat_id)
    except telegram.TelegramError as error:
        # Decoration: the photo is accepted whether or not the chat shows it.
        log.info("activity_not_shown", error=str(error))


def _command(name: str) -> str:
    if name in ("start", "help"):
        return replies.START if name == "start" else replies.HELP
    return replies.privacy(settings.PREDICTIONS_KEPT_DAYS) if name == "privacy" else replies.UNKNOWN_COMMAND


async def _say(to: Photo | Command | Other, text: str) -> None:
    try:
        await telegram.send_text(to.chat_id, text, reply_to=to.message_id)
    except telegram.TelegramError as error:
        if not error.permanent:
            raise
        log.warning("answer_undeliverable", chat_id=to.chat_id, error=str(error))
