"""Act on an update. When `receive` returns, the request is durable or answered; else Telegram repeats it."""

import asyncio
import hashlib
import hmac
from contextlib import closing
from dataclasses import replace
from functools import partial

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import in_flight, language, pause
from botsite.bot.answers import albums, deliver, waiting
from botsite.bot.buttons import looks, presses
from botsite.bot.incoming import addressed, corrections, files, guests, questions, welcome, words
from botsite.bot.incoming.files import Spool
from botsite.bot.incoming.updates import Command, Correction, Guest, Incoming, Other, Photo, Press
from botsite.bot.people import commands, preferences
from botsite.bot.people.preferences import Preferences
from botsite.bot.telegram import api, client
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import captions, replies
from botsite.pause import Pause
from botsite.threads import in_thread
from detection.record import deletions, predictions, times
from detection.record.albums import KEY as ALBUM_KEY
from detection.record.reasons import Refused
from detection.record.schemas import Prediction
from detection.work import jobs, operations

log = structlog.get_logger()

# Photos that are sent together come within this time, and what is told of them gets a turn within so many tries.
_ALL_COME_SECONDS, _TELLING_TRIES = 2.0, 15


async def receive(incoming: Incoming) -> None:
    """Do what an update asks for.

    Raise TelegramError, spool.Full, limits.Busy or botocore's errors if it has to come again.
    """
    if isinstance(incoming, Photo | Command | Other) and incoming.in_group and not await addressed.to_bot(incoming):
        return
    chosen = await _chosen_by(incoming)
    with language.speaking(chosen.language, incoming.language):
        await _act(incoming, chosen)


async def give_up(incoming: Incoming) -> None:
    """Apologise for what could not be done. Raise as `receive` does."""
    chosen = await _chosen_by(incoming)
    with language.speaking(chosen.language, incoming.language):
        if isinstance(incoming, Guest):
            await guests.say(incoming, replies.gave_up())
        elif not isinstance(incoming, Press | Correction):
            await _say(incoming, replies.gave_up())


async def _chosen_by(incoming: Incoming) -> Preferences:
    return await preferences.of(incoming.pressed_by if isinstance(incoming, Press) else incoming.sender_id)


async def _act(incoming: Incoming, chosen: Preferences) -> None:
    if isinstance(incoming, Press):
        await presses.pressed(incoming)
        return
    if isinstance(incoming, Guest):
        await guests.called(incoming, chosen)
        return
    if isinstance(incoming, Correction):
        bot_id = await in_thread(client.bot_id)()
        await corrections.correct(incoming, prediction_id(bot_id, incoming.photo), chosen)
        return
    photo = addressed.photo_of(incoming)
    match incoming:
        case _ if photo and (photo is incoming or not await addressed.replies_to_bot(incoming)):
            await _photo(photo, chosen)
        case Command() | Other():
            await words.answer(incoming, partial(_reply, incoming, photo))


async def _reply(incoming: Command | Other, photo: Photo | None) -> None:
    if isinstance(incoming, Other) and (text := await questions.answer(incoming)):
        await _say(incoming, text)
    elif photo:
        await _say(incoming, replies.own_photo())
    elif isinstance(incoming, Command):
        await commands.answer(incoming)
    else:
        await _say(incoming, replies.no_photo(incoming.kind, in_group=incoming.in_group))


def prediction_id(bot_id: int, photo: Photo) -> str:
    """Return the id of the prediction for this photo, as this message asks for it: 32 hexadecimal digits.

    It is derived, so a repeated update finds its own item, with a key, so nobody can guess another's.
    """
    identity = f"{bot_id}:{photo.chat_id}:{photo.message_id}:{photo.file_unique_id}"
    return hmac.new(settings.PREDICTION_ID_KEY.encode(), identity.encode(), hashlib.sha256).hexdigest()[:32]


async def _photo(photo: Photo, chosen: Preferences) -> None:
    if (why := await welcome.unwelcome(photo)) is not None:
        if why:
            await _say(photo, why)
        return
    bot_id = await in_thread(client.bot_id)()
    identity = prediction_id(bot_id, photo)
    with structlog.contextvars.bound_contextvars(prediction_id=identity):
        if not (await _repeated(identity) or await _deleted(photo, identity)):
            await _take(photo, chosen, bot_id, identity)


async def _repeated(identity: str) -> bool:
    """Return whether the photo is stored already; its answer is sent again if it may be missing."""
    known = await in_thread(jobs.find)(identity)
    if known is None:
        return False
    log.info("photo_repeated")
    if known.finished:
        await deliver.deliver(identity)
    return True


async def _take(photo: Photo, chosen: Preferences, bot_id: int, identity: str) -> None:
    """Fetch and submit a new photo, or refuse it."""
    kept_out = await welcome.over_limit(photo, identity)
    prediction = await _prediction(photo, chosen, bot_id, identity, with_album=not kept_out)
    if kept_out:
        await in_thread(jobs.refuse)(kept_out.item_of(prediction), kept_out.reason)
        if not await _deleted(photo, identity) and not kept_out.told:
            in_flight.start(_tell(photo, kept_out, identity))
        return
    try:
        file = await files.fetch(photo)
    except Refused as error:
        await in_thread(jobs.refuse)(prediction, error.reason)
        if not await _deleted(photo, identity):
            await deliver.deliver(identity)
        return
    await asyncio.shield(in_flight.start(_submit(photo, prediction, file)))


async def _prediction(photo: Photo, chosen: Preferences, bot_id: int, identity: str, *, with_album: bool) -> Prediction:
    asked = captions.read(photo.caption, chosen.options)
    own = asked != chosen.options
    album = await albums.join(bot_id, photo, identity, asked if own else None) if with_album else None
    # Of an album, only one photo has the caption, perhaps one that comes later: the worker looks again.
    options = album.options if album and album.options and not own else asked
    return Prediction(
        identity,
        photo.chat_id,
        photo.message_id,
        image_key=f"photos/{identity}",
        sender_id=photo.sender_id,
        author_id=photo.author_id,
        thread_id=photo.thread_id,
        language=language.current(),
        received_at=times.now(),
        as_file=photo.as_file,
        clip=photo.clip,
        spoiler=photo.spoiler,
        album_id=album.album_id if album else None,
        captioned=own,
        options=options,
        floor_percent=looks.floor_percent(options),
    )


async def _tell(photo: Photo, kept_out: welcome.KeptOut, identity: str) -> None:
    """Tell the sender of photos over a limit, once all have come, in the chat's next turn; else the sweep does so."""
    await asyncio.sleep(_ALL_COME_SECONDS)
    try:
        await in_thread(predictions.reword)(identity, await welcome.counted(photo, kept_out))
        for _ in range(_TELLING_TRIES):
            try:
                await deliver.deliver(identity)
                return
            except TelegramError as error:
                log.info("refusal_postponed", error=str(error))
                await asyncio.sleep(error.retry_after_seconds or _ALL_COME_SECONDS)
    except (ClientError, BotoCoreError) as error:
        log.warning("refusal_not_told", error=str(error))


async def _deleted(photo: Photo, identity: str) -> bool:
    """Return whether its sender has had everything deleted since; then nothing is left of it here, either."""
    if not await in_thread(deletions.covers)(photo.chat_id, photo.sender_id, photo.sent_at, photo.author_id):
        return False
    log.info("photo_was_deleted")
    await in_thread(operations.delete)(identity)
    if photo.album:
        bot_id = await in_thread(client.bot_id)()
        await in_thread(predictions.delete)(ALBUM_KEY.format(albums.album_id(bot_id, photo)))
    return True


async def _submit(photo: Photo, prediction: Prediction, file: Spool) -> None:
    """Store the photo, send its job, and show its sender that it came.

    This continues when Telegram hangs up, as its thread would anyway.
    """
    paused = await in_thread(pause.current)()
    waits = not paused and await in_thread(waiting.needed)()
    with closing(file):
        prediction = replace(prediction, photo_bytes=len(file.data))
        activity = [] if paused or waits else [_show_activity(prediction)]
        stored, *_ = await asyncio.gather(in_thread(jobs.submit)(prediction, file.data), *activity)
    # A deletion may have looked before this was stored.
    if await _deleted(photo, prediction.prediction_id):
        return
    if paused:
        # Telegram need not wait for this: the photo is stored.
        in_flight.start(_tell_of(paused, prediction))
    elif waits and not await waiting.acknowledge(stored):
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
        if await in_thread(pause.first_of_chat)(chat_id, paused):
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
