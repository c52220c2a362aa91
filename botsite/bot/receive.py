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
from botsite.bot import (
    acknowledge,
    addressed,
    albums,
    api,
    bot_token,
    captions,
    deliver,
    fetching,
    guests,
    presses,
    replies,
)
from botsite.bot.errors import TelegramError
from botsite.bot.spool import Spool
from botsite.bot.updates import Command, Guest, Incoming, Other, Photo, Press
from botsite.pause import Pause
from detection import jobs, times
from detection.schemas import EVERYTHING, Prediction

log = structlog.get_logger()

_in_thread = sync_to_async(thread_sensitive=False)


async def receive(incoming: Incoming) -> None:
    """Do what an update asks for. Raise TelegramError, spool.Full or botocore's errors if it has to come again."""
    if isinstance(incoming, Press):
        await presses.pressed(incoming)
        return
    if isinstance(incoming, Guest):
        await guests.called(incoming)
        return
    if incoming.in_group and not (await addressed.to_bot(incoming) or await albums.called_to(incoming)):
        return
    photo = addressed.photo_of(incoming)
    match incoming:
        case Command() | Other() if photo and await addressed.replies_to_bot(incoming):
            await _say(incoming, replies.own_photo())
        case _ if photo:
            await _photo(photo)
        case Command():
            await _say(incoming, replies.command(incoming.name))
        case Other():
            await _say(incoming, replies.no_photo(incoming.kind))


async def give_up(incoming: Incoming) -> None:
    """Apologise for what could not be done. Raise as `receive` does."""
    if isinstance(incoming, Guest):
        await guests.say(incoming, replies.gave_up())
    elif not isinstance(incoming, Press):
        await _say(incoming, replies.gave_up())


def prediction_id(bot_id: int, photo: Photo) -> str:
    """Return the id of the prediction for this photo, as this message asks for it: 32 hexadecimal digits.

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
        asked = captions.read(photo.caption)
        album = await albums.join(bot_id, photo, identity, asked)
        prediction = Prediction(
            identity,
            photo.chat_id,
            photo.message_id,
            image_key=f"photos/{identity}",
            sender_id=photo.sender_id,
            thread_id=photo.thread_id,
            language=photo.language or None,
            received_at=times.now(),
            album_id=album.album_id if album else None,
            # Of an album, only one photo has the caption.
            options=album.options if album and asked == EVERYTHING else asked,
        )
        try:
            file = await fetching.fetch(photo)
        except fetching.Refused as error:
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
        activity = [] if paused or waits else [_show_activity(prediction)]
        stored, *_ = await asyncio.gather(_in_thread(jobs.submit)(prediction, file.data), *activity)
    if paused:
        # Telegram need not wait for this: the photo is stored.
        in_flight.start(_tell_of(paused, prediction))
    elif waits and not await acknowledge.acknowledge(stored):
        await _show_activity(prediction)


async def _show_activity(prediction: Prediction) -> None:
    try:
        await api.show_activity(prediction.chat_id, prediction.thread_id)
    except TelegramError as error:
        # This is decoration: the photo is accepted whether or not the chat shows it.
        log.info("activity_not_shown", error=str(error))


async def _tell_of(paused: Pause, prediction: Prediction) -> None:
    """Tell a chat once that its photos are kept; not as a reply, which would be the answer to the photo."""
    chat_id = prediction.chat_id
    try:
        if await _in_thread(pause.first_of_chat)(chat_id, paused):
            await api.send_text(chat_id, replies.paused(), thread_id=prediction.thread_id)
    except (TelegramError, ClientError, BotoCoreError) as error:
        log.warning("pause_not_told", chat_id=chat_id, error=str(error))


async def _say(to: Photo | Command | Other, text: str) -> None:
    try:
        await api.send_text(to.chat_id, text, reply_to=to.message_id, thread_id=to.thread_id)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.warning("answer_undeliverable", chat_id=to.chat_id, error=str(error))
