"""Show a photo as its edited caption asks: in the message that answers it, or from the start if nobody has begun.

An edit makes nothing: without the photo's item, or without a change in what is asked, nothing happens. An edit that
comes again draws the same again, and one that comes after a newer one is left out.
"""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from botsite import language
from botsite.bot.answers import answer, drawing
from botsite.bot.buttons import looks
from botsite.bot.incoming import welcome
from botsite.bot.incoming.updates import Correction
from botsite.bot.people.preferences import Preferences
from botsite.bot.telegram import edits
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Keyboard
from botsite.bot.words import captions, found
from botsite.threads import in_thread
from detection.record import albums, choosing, exports, images, items, known_classes, predictions, queries
from detection.record.albums import Album
from detection.record.schemas import Form, Options, Prediction, Status

log = structlog.get_logger()

# An edit waits for so long until the photo's answer is there; later messages of its chat wait behind it.
_WITHIN_SECONDS, _AGAIN_SECONDS = 60.0, 2.0


async def correct(correction: Correction, prediction_id: str, chosen: Preferences) -> None:
    """Do what an edited caption asks for. Raise TelegramError or botocore's errors if the edit has to come again."""
    if not welcome.welcome(welcome.of_sender(correction)):
        return
    try:
        known = await in_thread(predictions.find)(prediction_id)
    except items.Incomplete:
        return
    asked = captions.read(correction.photo.caption, chosen.options)
    own = asked != chosen.options
    late = known and known.edited_at and known.edited_at > correction.sent_at
    if known is None or late or not (own or known.captioned):
        return
    known = replace(known, captioned=own, edited_at=correction.sent_at)
    if not known.delivered:
        await _before_answer(correction, known, asked)
    elif known.status is Status.SUCCEEDED and known.answer_message_id and not known.clip:
        await _again(correction, await _shown(known, asked))


async def _before_answer(correction: Correction, known: Prediction, asked: Options) -> None:
    edited = in_thread(predictions.ask_again)
    queued = await edited(known.prediction_id, asked, correction.sent_at, captioned=known.captioned)
    if not queued.granted and queued.prediction:
        _wait(correction, "its photo is being answered")
    elif known.album_id:
        await in_thread(albums.ask_again)(known.album_id, asked)


async def _shown(known: Prediction, asked: Options) -> list[tuple[Prediction, str, Keyboard]]:
    """Return what of an answer has to be drawn again, with its captions and buttons; an album's first has the caption.

    In an album, one caption is for all photos that have none of their own.
    """
    album = await in_thread(albums.find)(known.album_id) if known.album_id else None
    photos = await _answered_with(known, album)
    now = [each if each.captioned else await _as_asked(each, asked) for each in photos]
    now = [await _as_asked(known, asked) if each.prediction_id == known.prediction_id else each for each in now]
    changed = [new for new, old in zip(now, photos, strict=True) if new.options != old.options]
    if not changed:
        return []
    with language.speaking(known.language):
        if album is None or len(now) < 2:
            return [(now[0], await answer.caption_of(now[0]), looks.keyboard(now[0], looks.first(now[0])))]
        numbers = album.numbers()
        caption = found.of_album(now, [numbers[each.prediction_id] for each in now])
    return [(now[0], caption, []), *((each, "", []) for each in changed if each is not now[0])]


async def _answered_with(known: Prediction, album: Album | None) -> list[Prediction]:
    """Return the photos of the same answer as they are now, in order; most answers are to one."""
    together = album.together if album and album.sent_at and not album.apart else frozenset[str]()
    ids = sorted(together) if known.prediction_id in together else [known.prediction_id]
    there = await in_thread(queries.known)(ids, consistent=True)
    return sorted((each for each in there.values() if each.answer_message_id), key=lambda each: each.message_id)


async def _as_asked(known: Prediction, asked: Options) -> Prediction:
    """Return the photo as a worker would have stored it, had it been asked this."""
    options = choosing.resolve(asked, await in_thread(known_classes.read)(), known.language)
    options = choosing.by_default(options, await in_thread(known_classes.confidence)())
    return replace(known, options=options, detections=tuple(choosing.choose(known.candidates, options)))


async def _again(correction: Correction, shown: Sequence[tuple[Prediction, str, Keyboard]]) -> None:
    """Draw pictures of the answer again, and record that."""
    if shown and not await edits.leaves_room(correction.chat_id, len(shown)):
        _wait(correction, "answers come first")
        return
    try:
        for prediction, caption, keyboard in shown:
            await _draw(replace(prediction, edited_at=correction.sent_at), caption, keyboard)
    except drawing.Busy:
        _wait(correction, "others are drawn first")
    except images.ImageGone as error:
        log.info("photo_not_shown", error=repr(error))
    except TelegramError as error:
        if not error.permanent:
            raise
        log.info("answer_not_edited", chat_id=correction.chat_id, error=str(error))


async def _draw(shown: Prediction, caption: str, keyboard: Keyboard) -> None:
    message_id = shown.answer_message_id or 0
    if shown.options.form is Form.JSON:
        data = exports.as_json(shown, shown.detections)
        await edits.turn_into_document(shown.chat_id, message_id, data, caption, name="detections.json")
        await in_thread(predictions.show_again)(shown)
        return
    picture, _ = await drawing.turn_into(message_id, (shown, shown.detections, shown.options), caption, keyboard)
    key = shown.full_key if shown.as_file else shown.result_key
    await in_thread(images.put)(key, picture, "image/jpeg")
    stored = await in_thread(predictions.show_again)(shown)
    if stored.prediction is None:
        # It was deleted meanwhile.
        await in_thread(images.delete)(key)


def _wait(correction: Correction, why: str) -> None:
    """Have a young edit come again; an older one is left out. Raise TelegramError."""
    if correction.age_seconds < _WITHIN_SECONDS:
        message = f"edit in chat {correction.chat_id}: {why}"
        raise TelegramError(message, permanent=False, retry_after_seconds=_AGAIN_SECONDS)
    log.info("edit_left_out", chat_id=correction.chat_id, reason=why)
