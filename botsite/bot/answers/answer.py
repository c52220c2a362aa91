"""Compose the answer to a photo, and send it: in place of the message that told how the wait goes, or as a reply."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Literal

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import language
from botsite.bot.answers import drawing
from botsite.bot.buttons import looks
from botsite.bot.telegram import api, edits, guest_messages
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Keyboard, Picture
from botsite.bot.words import found, replies
from botsite.threads import in_thread
from detection.picture import image_headers, redrawn, thumbnails
from detection.record import exports, images, known_classes, predictions, times
from detection.record.schemas import Form, Prediction, Question, Status

log = structlog.get_logger()

# Telegram takes photos up to 20 times longer than wide; a longer one goes as a file.
_LONGEST_PHOTO = 20
# What has failed so often is sent as text, after 3.5 min (botsite/bot/answers/deliver.py).
_TEXT_AFTER_FAILURES = 5
# A file has up to 50 MB, which a request holds two or three times: a site sends one at a time.
FILES = asyncio.Semaphore(1)
# Whoever has waited longer is notified of the answer.
_NOTIFY_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Part:
    """A photo's part of an album, and the form in which it would be answered alone. Telegram doesn't mix forms."""

    image: bytes
    form: Literal["photo", "document"]
    ending: str = "jpg"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: a text, or a JPEG in some form with the text as its caption."""

    text: str
    image: bytes | None = None
    form: Literal["photo", "document"] = "photo"
    file_name: str = "detections.jpg"
    keyboard: Keyboard = ()
    # More pictures, which come with the image as an album.
    album: Sequence[bytes] = ()
    # Whether the image has the photo's full resolution, so that a smaller one is there, too.
    full: bool = False


async def send(prediction: Prediction, before: float) -> int | None:
    """Send the answer, or turn the message about the wait into it, not later than `before` (monotonic seconds).

    Return the message that is the answer, if it is one that can be drawn again. Raise TelegramError, or botocore's
    errors if the picture can't be read.
    """
    if prediction.guest_query_id:
        await _as_guest(prediction, before)
        return None
    async with FILES if prediction.as_file else nullcontext():
        answer = await _compose(prediction)
        try:
            if await _in_place(prediction, answer, before):
                return prediction.status_message_id
            return await _as_reply(prediction, answer, before)
        except TelegramError as error:
            if answer.image is None or not about_content(error):
                raise
            # Telegram rejects this picture and always will.
            log.warning("result_image_refused", error=str(error))
            return await _simpler(prediction, answer, before)


async def _simpler(prediction: Prediction, answer: Answer, before: float) -> int | None:
    """Send the smaller picture in place of one at full resolution, else the counts: they are an answer, too."""
    smaller = await _picture(prediction, prediction.result_key) if answer.full else None
    if smaller:
        try:
            return await _as_reply(prediction, replace(answer, image=smaller), before)
        except TelegramError as error:
            if not about_content(error):
                raise
            log.warning("result_image_refused", error=str(error))
    return await _as_reply(prediction, Answer(answer.text, keyboard=answer.keyboard), before)


async def put_back(prediction: Prediction) -> None:
    """Show the text again that answers a photo, in case a late word on the wait has replaced it.

    Such a word can't replace a picture.
    """
    message_id = prediction.status_message_id
    if message_id is None or prediction.detections:
        return
    with language.speaking(prediction.language):
        answer = await _compose(prediction)
    try:
        await edits.turn_into_text(prediction.chat_id, message_id, answer.text, keyboard=answer.keyboard)
    except TelegramError as error:
        # They have deleted it, the answer is a message of its own, or a button has made a picture of it.
        if not about_content(error):
            raise


def goes_together(prediction: Prediction) -> bool:
    """Return whether the answer can be one picture among others, as far as its item tells; cancelled ones need none."""
    return prediction.cancelled or not prediction.clip


async def part(prediction: Prediction) -> Part | None:
    """Return the boxed photo for an album, even where nothing was found, or its data; None if it is gone."""
    if prediction.options.form is Form.JSON:
        return Part(exports.as_json(prediction, prediction.detections), "document", "json")
    full = await _picture(prediction, prediction.full_key) if prediction.as_file and prediction.detections else None
    image = full or await _picture(prediction, prediction.result_key)
    if image is None:
        return None
    return Part(image, "document" if prediction.as_file or _too_long(image) else "photo")


async def photo(prediction: Prediction) -> bytes | None:
    """Return the boxed photo if its answer is one that Telegram takes as a photo; even where nothing was found."""
    image = await _picture(prediction, prediction.result_key)
    return image if image and not _too_long(image) else None


async def _compose(prediction: Prediction) -> Answer:
    if prediction.status is Status.FAILED:
        return Answer(replies.failure_of(prediction))
    if prediction.is_text:
        return Answer(replies.written(prediction.written))
    caption = await caption_of(prediction)
    if prediction.options.form is Form.JSON:
        return Answer(caption, exports.as_json(prediction, prediction.detections), "document", "detections.json")
    keyboard = looks.keyboard(prediction, looks.first(prediction))
    if not prediction.detections:
        return Answer(caption, keyboard=keyboard)
    if prediction.clip:
        frames = list(filter(None, [await _picture(prediction, key) for key in prediction.frame_keys]))
        return Answer(caption, frames[0], album=frames[1:]) if frames else Answer(caption)
    crops = prediction.options.form is Form.CROPS
    full = await _picture(prediction, prediction.full_key) if prediction.as_file and not crops else None
    image = full or await _picture(prediction, prediction.result_key)
    if image is None:
        return Answer(caption, keyboard=keyboard)
    # As an album, it would pass for the answer to the other photos of the sender's album; the button remains.
    in_album = prediction.album_id is not None
    if crops and not in_album and not _too_long(image) and (album := await crops_of(prediction)):
        return Answer(caption, image, album=album)
    if prediction.as_file:
        return Answer(caption, image, "document", keyboard=keyboard, full=bool(full))
    if _too_long(image):
        return Answer(caption, image, "document")
    return Answer(caption, image, keyboard=keyboard)


async def _as_guest(prediction: Prediction, before: float) -> None:
    """Turn the guest's message into the answer: the boxed photo if Telegram has it, or can have it, else the text."""
    if prediction.inline_message_id is None:
        # Nothing is stored for it, either.
        raise TelegramError(f"query {prediction.guest_query_id}: its message isn't known", permanent=True)
    where = prediction.inline_message_id, prediction.chat_id
    if prediction.status is Status.FAILED:
        await guest_messages.turn_into_text(*where, replies.failure_of(prediction), before)
        return
    caption = await caption_of(prediction)
    try:
        picture = await _at_telegram(prediction, before)
    except TelegramError as error:
        # The text is the answer, at least until the picture can be had.
        await guest_messages.turn_into_text(*where, caption, before)
        if not error.permanent:
            raise
        log.exception("picture_not_stored")
        return
    try:
        if not (
            picture
            and await guest_messages.turn_into_photo(*where, picture, caption, before, spoiler=prediction.spoiler)
        ):
            await guest_messages.turn_into_text(*where, caption, before)
    finally:
        if picture and picture.message_id and await guest_messages.forget(picture.message_id):
            await in_thread(predictions.forget_picture)(prediction.prediction_id, picture.message_id)


async def _at_telegram(prediction: Prediction, before: float) -> guest_messages.Picture | None:
    """Return the boxed photo as Telegram has it, where it is sent now if it has to be; None if it can't have it."""
    if prediction.picture_file_id:
        return guest_messages.Picture(prediction.picture_file_id, prediction.picture_message_id)
    image = await photo(prediction) if prediction.detections and settings.STORAGE_CHAT else None
    if image is None:
        return None
    picture = await guest_messages.store(image, prediction.chat_id, before)
    try:
        await in_thread(predictions.note_picture)(prediction.prediction_id, picture.file_id, picture.message_id)
    except (ClientError, BotoCoreError):
        # Nothing else knows of it, and the next try sends another one.
        if picture.message_id:
            await guest_messages.forget(picture.message_id)
        raise
    return picture


async def crops_of(prediction: Prediction, most: int = api.ALBUM_AT_MOST - 1) -> list[bytes]:
    """Return the objects cut out, as far as an album has room for them; none if that can't be."""
    try:
        drawn = looks.drawn(prediction, looks.first(prediction))
        return await drawing.undisturbed(partial(redrawn.crops, *drawn, most)) if most else []
    except images.ImageGone as error:
        log.warning("crops_left_out", error=repr(error))
        return []


async def caption_of(prediction: Prediction) -> str:
    """Return what was found, and what of the sender's caption was not understood, as far as it fits."""
    text = _found(prediction) if prediction.detections else await _nothing(prediction)
    asked = prediction.options
    return found.followed(text, replies.of_heads(prediction, asked), replies.not_understood(asked))


def _found(prediction: Prediction) -> str:
    question = prediction.options.question
    if prediction.clip and len(prediction.frame_keys) > 1:
        where = prediction.options.where or question is Question.WHERE
        return found.of_clip(prediction.detections, where=where)
    if question:
        return found.answer_to(question, prediction.detections)
    return found.caption(prediction.detections, where=prediction.options.where)


async def _nothing(prediction: Prediction) -> str:
    only, clip = prediction.options.only, prediction.clip
    if only:
        return replies.none_of_in_clip(only) if clip else replies.none_of(only)
    text = replies.nothing_in_clip() if clip else replies.nothing_found()
    return f"{text}\n\n{replies.nothing_to_find(len(await in_thread(known_classes.read)()))}"


async def _in_place(prediction: Prediction, answer: Answer, before: float) -> bool:
    """Turn the message that told how the wait goes into the answer; return whether that was done.

    An edit notifies nobody. After a long wait, and where an edit can't be, the message goes, before the answer comes:
    it must not stay if this process ends in between.
    """
    chat_id, message_id = prediction.chat_id, prediction.status_message_id
    if message_id is None or prediction.reopened_at:
        return False
    if _waited(prediction) > _NOTIFY_AFTER or answer.form == "document" or answer.album:
        await edits.delete(chat_id, message_id)
        return False
    try:
        if answer.image:
            await edits.turn_into_photo(
                chat_id,
                message_id,
                answer.image,
                answer.text,
                keyboard=answer.keyboard,
                spoiler=prediction.spoiler,
                before=before,
            )
        else:
            await edits.turn_into_text(chat_id, message_id, answer.text, keyboard=answer.keyboard, before=before)
    except TelegramError as error:
        if not about_content(error):
            raise
        # They have deleted it, or the picture is rejected, which shows when it is sent.
        log.info("status_not_edited", error=str(error))
        await edits.delete(chat_id, message_id)
        return False
    return True


async def _as_reply(prediction: Prediction, answer: Answer, before: float) -> int | None:
    chat_id, message_id, thread_id = prediction.chat_id, prediction.message_id, prediction.thread_id
    if answer.image and answer.album:
        pictures = [Picture(each, prediction.spoiler) for each in (answer.image, *answer.album)]
        await api.send_album(
            chat_id, pictures, caption=answer.text, reply_to=message_id, thread_id=thread_id, before=before
        )
        return None
    if answer.image is None:
        sent = await api.send_text(
            chat_id, answer.text, message_id, thread_id=thread_id, keyboard=answer.keyboard, before=before
        )
    else:
        sent = await api.send_image(
            chat_id,
            answer.image,
            answer.text,
            form=answer.form,
            name=answer.file_name,
            reply_to=message_id,
            thread_id=thread_id,
            keyboard=answer.keyboard,
            thumbnail=thumbnails.read(answer.image),
            spoiler=prediction.spoiler,
            before=before,
        )
    return sent.message_id


def about_content(error: TelegramError) -> bool:
    """Return whether Telegram rejects what is sent, or the message it would change, and not the chat."""
    return error.permanent and not (error.blocked or error.migrated_to or error.topic_closed)


def _waited(prediction: Prediction) -> timedelta:
    return times.now() - times.latest(prediction.received_at or prediction.created_at)


async def _picture(prediction: Prediction, key: str) -> bytes | None:
    """Return a boxed photo, or None if it is gone or could not be sent too often: then less must do."""
    if prediction.delivery_failures >= _TEXT_AFTER_FAILURES:
        log.warning("result_image_left_out", failures=prediction.delivery_failures)
        return None
    try:
        return bytes(await in_thread(images.get)(key))
    except images.ImageGone:
        log.exception("result_image_gone", key=key)
        return None


def _too_long(image: bytes) -> bool:
    size = image_headers.jpeg_size(image)
    return max(size) / min(size) > _LONGEST_PHOTO
