"""Act on an update. When `receive` returns, the request is durable or answered; else Telegram repeats it."""

import asyncio
import hashlib
import hmac
from contextlib import closing
from dataclasses import replace

import structlog
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import in_flight, pause
from botsite.bot import acknowledge, api, bot_token, captions, deliver, downloads, presses, replies
from botsite.bot.errors import TelegramError, TooLarge
from botsite.bot.spool import Spool
from botsite.bot.updates import Command, Incoming, Other, Photo, Press
from botsite.pause import Pause
from detection import image_headers, jobs, sentences, times
from detection.schemas import Prediction

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)
# A file that Telegram has not been able to hand out for this long is given up, and the sender told.
_PATIENCE_SECONDS = 3600
# A late update may have waited for us, not for Telegram: one failure is not enough.
_LATE_TRIES = 2
# Types that are no image, whatever is in the file. Clients that do not know a type say application/octet-stream.
_NO_IMAGE_PREFIXES = ("video/", "audio/", "text/", "font/", "application/vnd.")
_NO_IMAGE_TYPES = frozenset(
    f"application/{name}"
    for name in (
        "pdf", "zip", "gzip", "x-gzip", "x-tar", "x-rar", "x-rar-compressed", "x-7z-compressed", "x-bzip2", "msword",
        "rtf", "json", "xml", "javascript", "epub+zip", "java-archive", "x-tgsticker", "x-msdownload",
    )
)  # fmt: skip


class Refused(Exception):
    """This photo cannot be processed; the text is an English sentence for its sender."""


async def receive(incoming: Incoming) -> None:
    """Do what an update asks for. Raise TelegramError, spool.Full or botocore's errors if it has to come again."""
    if isinstance(incoming, Press):
        await presses.pressed(incoming)
        return
    if incoming.in_group and not await _is_for_this_bot(incoming):
        return
    match incoming:
        case Photo():
            await _photo(incoming)
        case Command():
            await _say(incoming, replies.command(incoming.name))
        case Other():
            await _say(incoming, replies.no_photo(incoming.kind))


async def give_up(incoming: Incoming) -> None:
    """Apologise for what could not be done. Raise as `receive` does."""
    if not isinstance(incoming, Press):
        await _say(incoming, replies.gave_up())


def prediction_id(bot_id: int, photo: Photo) -> str:
    """Return the id of the prediction for this photo in this message: 32 hexadecimal digits.

    It is derived, so a repeated update finds its own item, with a key, so nobody can guess another's.
    """
    identity = f"{bot_id}:{photo.chat_id}:{photo.message_id}:{photo.file_unique_id}"
    return hmac.new(settings.PREDICTION_ID_KEY.encode(), identity.encode(), hashlib.sha256).hexdigest()[:32]


async def _photo(photo: Photo) -> None:
    bot_id = await _in_thread(bot_token.bot_id)()
    identity = prediction_id(bot_id, photo)
    with structlog.contextvars.bound_contextvars(prediction_id=identity):
        known = await _in_thread(jobs.find)(identity)
        if known:
            log.info("photo_repeated")
            if known.finished:
                await deliver.deliver(identity)
            return
        prediction = Prediction(
            identity,
            photo.chat_id,
            photo.message_id,
            image_key=f"photos/{identity}",
            sender_id=photo.sender_id,
            thread_id=photo.thread_id,
            language=photo.language or None,
            received_at=times.now(),
            options=captions.read(photo.caption),
            as_file=photo.as_file,
        )
        try:
            file = await _fetch(photo)
        except Refused as error:
            await _in_thread(jobs.refuse)(prediction, str(error))
            await deliver.deliver(identity)
            return
        await asyncio.shield(in_flight.start(_submit(prediction, file)))


async def _submit(prediction: Prediction, file: Spool) -> None:
    """Store the photo, send its job, and show its sender that it came.

    This continues when Telegram hangs up, as its thread would anyway.
    """
    paused = await _in_thread(pause.current)()
    waits = not paused and await _in_thread(acknowledge.needed)()
    with closing(file):
        prediction = replace(prediction, photo_bytes=len(file.data))
        activity = [] if paused or waits else [_show_activity(prediction.chat_id)]
        stored, *_ = await asyncio.gather(_in_thread(jobs.submit)(prediction, file.data), *activity)
    if paused:
        # Telegram need not wait for this: the photo is stored.
        in_flight.start(_tell_of(paused, prediction.chat_id))
    elif waits and not await acknowledge.acknowledge(stored):
        await _show_activity(prediction.chat_id)


async def _is_for_this_bot(incoming: Photo | Command | Other) -> bool:
    """Return whether a message in a group is the bot's to answer. The name is asked for only if one is mentioned."""
    match incoming:
        case Photo() if not _is_other_type(incoming.declared):
            # An image may be meant for the bot; other files, which it cannot read, are for the people in the group.
            return True
        case Command(to=""):
            return incoming.name in replies.COMMANDS
        case Command():
            return incoming.to == await api.username()
    if incoming.reply_to is not None and incoming.reply_to == await _in_thread(bot_token.bot_id)():
        return True
    return bool(incoming.names) and await api.username() in incoming.names


async def _fetch(photo: Photo) -> Spool:
    """Download the photo and check its header. Raise Refused if it is not available, or not an image."""
    if _is_other_type(photo.declared):
        raise Refused(sentences.NO_IMAGE)
    if photo.file_bytes and photo.file_bytes > downloads.MAX_FILE_BYTES:
        raise Refused(replies.too_large(photo.file_bytes))
    late = photo.age_seconds > _PATIENCE_SECONDS
    for tries_left in reversed(range(_LATE_TRIES if late else 1)):
        try:
            return await downloads.download(photo.file_id, image_headers.read, image_headers.HEAD_BYTES)
        except image_headers.UnreadableImage as error:
            raise Refused(str(error)) from error
        except TooLarge as error:
            raise Refused(replies.TOO_LARGE_FOR_BOTS) from error
        except TelegramError as error:
            if error.permanent:
                log.warning("photo_unavailable", error=str(error))
                raise Refused(replies.UNAVAILABLE) from error
            if not late or error.token_refused or error.retry_after_seconds:
                # This is not about the photo.
                raise
            if not tries_left:
                log.warning("photo_unavailable", error=str(error))
                raise Refused(replies.UNAVAILABLE) from error
    raise AssertionError("the last try returns or raises")


def _is_other_type(declared: str) -> bool:
    return declared.startswith(_NO_IMAGE_PREFIXES) or declared in _NO_IMAGE_TYPES


async def _show_activity(chat_id: int) -> None:
    try:
        await api.show_activity(chat_id)
    except TelegramError as error:
        # This is decoration: the photo is accepted whether or not the chat shows it.
        log.info("activity_not_shown", error=str(error))


async def _tell_of(paused: Pause, chat_id: int) -> None:
    """Tell a chat once that its photos are kept; not as a reply, which would be the answer to the photo."""
    try:
        if await _in_thread(pause.first_of_chat)(chat_id, paused):
            await api.send_text(chat_id, replies.paused())
    except (TelegramError, ClientError, BotoCoreError) as error:
        log.warning("pause_not_told", chat_id=chat_id, error=str(error))


async def _say(to: Photo | Command | Other, text: str) -> None:
    try:
        await api.send_text(to.chat_id, text, reply_to=to.message_id)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.warning("answer_undeliverable", chat_id=to.chat_id, error=str(error))
