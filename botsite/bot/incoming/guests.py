"""Be a guest: answer somebody who calls the bot by its name in a chat that it is not in.

A query is answered once, at once, so the answer is a text first, and becomes what was found by edits. Only Telegram's
reply to the answer names the message. If that is lost, or the site with it, the button under the text brings the name.
"""

import asyncio
import hashlib
import hmac
from contextlib import closing
from dataclasses import replace

import structlog
from django.conf import settings

from botsite import in_flight, language, pause, rate_limit
from botsite.bot.answers import deliver
from botsite.bot.buttons import looks
from botsite.bot.buttons.presses import GONE, button
from botsite.bot.incoming import files, limits, welcome
from botsite.bot.incoming.updates import Guest, Photo, Press
from botsite.bot.people.preferences import NONE, Preferences
from botsite.bot.telegram import client, guest_messages
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Button
from botsite.bot.words import captions, replies
from botsite.language import gettext
from botsite.threads import in_thread
from detection.record import authors, deletions, deliveries, items, predictions, times
from detection.record.reasons import Reason, Refused
from detection.record.schemas import Delivery, Form, Prediction
from detection.record.sentences import Code, noop
from detection.work import jobs, operations

log = structlog.get_logger()

SHOW = "guest"
_SHOW_TEXT = noop("Show the answer")


async def called(guest: Guest, chosen: Preferences = NONE) -> None:
    """Do what a call asks for. Raise what `receive` does if it has to come again."""
    if not welcome.welcome(welcome.of_sender(guest)):
        # The chat is not the bot's: nobody there is bothered.
        log.info("photo_not_allowed", chat_id=guest.chat_id, sender_id=limits.person_of(guest))
        return
    if guest.about is None:
        if await _may_answer(guest):
            await say(guest, replies.how_to_call())
        return
    identity = prediction_id(await in_thread(client.bot_id)(), guest, guest.about)
    with structlog.contextvars.bound_contextvars(prediction_id=identity):
        # It continues when Telegram hangs up: what was answered has to be written down.
        await asyncio.shield(in_flight.start(_look(guest, guest.about, identity, chosen)))


async def say(guest: Guest, text: str) -> None:
    """Answer a call with a text, unless it was answered. Raise TelegramError if it has to be tried again."""
    try:
        await guest_messages.answer(guest.query_id, guest.chat_id, text)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.info("guest_not_answered", chat_id=guest.chat_id, error=str(error))


def prediction_id(bot_id: int, guest: Guest, photo: Photo) -> str:
    """Return the id of the prediction for a query: messages of such chats are numbered as those of others may be."""
    identity = f"guest:{bot_id}:{guest.query_id}:{photo.file_unique_id}"
    return hmac.new(settings.PREDICTION_ID_KEY.encode(), identity.encode(), hashlib.sha256).hexdigest()[:32]


@button(SHOW)
async def show(press: Press, prediction_id: str) -> str:
    """Turn the message whose button was pressed into the answer; return what to tell if that can't be."""
    inline_message_id = press.inline_message_id
    if not (inline_message_id and predictions.possible(prediction_id)):
        return gettext(GONE)
    try:
        noted = await in_thread(predictions.note_guest_message)(prediction_id, inline_message_id)
    except items.Incomplete:
        return gettext(GONE)
    found = noted.prediction
    if found is None or found.inline_message_id != inline_message_id:
        return gettext(GONE)
    if not found.finished:
        return replies.looking()
    if noted.granted and found.delivery is Delivery.UNDELIVERABLE:
        await in_thread(deliveries.reopen)(prediction_id)
    await deliver.deliver(prediction_id)
    return ""


async def _look(guest: Guest, photo: Photo, identity: str, chosen: Preferences) -> None:
    if await _deleted(guest, photo, identity):
        return
    try:
        await _begin_job(guest, photo, identity, chosen)
    finally:
        # A deletion may have looked before this was stored.
        await _deleted(guest, photo, identity)


async def _begin_job(guest: Guest, photo: Photo, identity: str, chosen: Preferences) -> None:
    known = await in_thread(predictions.find)(identity)
    if known is None and not await _may_answer(guest):
        return
    if known is None and (kept_out := await welcome.over_guests_limit(guest, identity)):
        await say(guest, replies.failure(kept_out))
        return
    new = _prediction(guest, photo, identity, chosen)
    await in_thread(authors.note)(new)
    # Before the answer, so that a site that takes over knows that there may be one.
    first = (await in_thread(predictions.create)(new)).granted
    others = not first and await in_thread(jobs.somebody_else_sends)(identity)
    prediction = await in_thread(predictions.find)(identity)
    if others:
        log.info("photo_repeated")
        if prediction and prediction.finished:
            await deliver.deliver(identity)
        return
    if prediction is None or not await _begin(guest, prediction, first=first):
        return
    try:
        file = await files.fetch(photo)
    except Refused as error:
        await _fail(identity, error.reason)
        return
    with closing(file):
        await in_thread(jobs.complete)(prediction, file.data)


async def _deleted(guest: Guest, photo: Photo, identity: str) -> bool:
    """Return whether caller or author have had everything deleted since; then nothing is left of it here, either."""
    if not await in_thread(deletions.covers)(_own_chat(guest), guest.sender_id, guest.sent_at, photo.author_id):
        return False
    log.info("photo_was_deleted")
    await in_thread(operations.delete)(identity)
    return True


def _own_chat(guest: Guest) -> int:
    """Return the caller's private chat with the bot, whose photos are theirs to see and to delete.

    The chat of the call is not the bot's, and Telegram may have given its id to another one that is.
    """
    return guest.sender_id or guest.chat_id


def _prediction(guest: Guest, photo: Photo, identity: str, chosen: Preferences) -> Prediction:
    asked = captions.read(photo.caption, chosen.options)
    return Prediction(
        identity,
        _own_chat(guest),
        guest.message_id,
        image_key=f"photos/{identity}",
        sender_id=guest.sender_id,
        author_id=photo.author_id,
        language=language.current(),
        guest_query_id=guest.query_id,
        received_at=times.now(),
        spoiler=photo.spoiler,
        # The message takes one picture, and no file.
        options=replace(asked, form=Form.PICTURE),
        floor_percent=looks.floor_percent(asked),
    )


async def _begin(guest: Guest, prediction: Prediction, *, first: bool) -> bool:
    """Answer the query with a word on the wait; return whether there is, or may be, a message for the answer."""
    if prediction.inline_message_id:
        return True
    text = replies.paused() if await in_thread(pause.current)() else replies.looking()
    button = Button(gettext(_SHOW_TEXT), f"{SHOW}:{prediction.prediction_id}")
    try:
        inline_message_id = await guest_messages.answer(guest.query_id, guest.chat_id, text, button)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.warning("guest_not_answered", chat_id=guest.chat_id, error=str(error), first=first)
        if first:
            # Too late, or the chat's content is protected: nobody would see what was found.
            await _fail(prediction.prediction_id, Reason(Code.GIVEN_UP))
        # Else it was answered before, by a call whose reply was lost: the button tells where.
        return not first
    await in_thread(predictions.note_guest_message)(prediction.prediction_id, inline_message_id)
    return True


async def _fail(identity: str, reason: Reason) -> None:
    await in_thread(predictions.fail)(identity, reason)
    log.info("photo_refused", reason=reason.code.name)
    await deliver.deliver(identity)


async def _may_answer(guest: Guest) -> bool:
    """Take a turn of the chat; return whether there was one: nobody makes the bot flood a chat of others."""
    if await in_thread(rate_limit.spare)(rate_limit.guest(guest.chat_id)):
        return True
    log.warning("guest_ignored", chat_id=guest.chat_id)
    return False
