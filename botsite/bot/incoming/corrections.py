"""Show a photo as its edited caption asks: in the message that answers it, or from the start if nobody has begun.

An edit makes nothing: without the photo's item, or without a change in what is asked, nothing happens. An edit that
comes again draws the same again, and one that comes after a newer one is left out.
"""

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
from botsite.bot.words import captions
from botsite.threads import in_thread
from detection.record import choosing, exports, images, items, known_classes, predictions
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
        await _again(correction, await _as_asked(known, asked))


async def _before_answer(correction: Correction, known: Prediction, asked: Options) -> None:
    edited = in_thread(predictions.ask_again)
    queued = await edited(known.prediction_id, asked, correction.sent_at, captioned=known.captioned)
    if not queued.granted and queued.prediction:
        _wait(correction, "its photo is being answered")


async def _as_asked(known: Prediction, asked: Options) -> Prediction:
    """Return the photo as a worker would have stored it, had it been asked this."""
    options = choosing.resolve(asked, await in_thread(known_classes.read)(), known.language)
    options = choosing.by_default(options, await in_thread(known_classes.confidence)())
    return replace(known, options=options, detections=tuple(choosing.choose(known.candidates, options)))


async def _again(correction: Correction, shown: Prediction) -> None:
    """Draw the answer again, and record it."""
    before = await in_thread(predictions.find)(shown.prediction_id)
    if before is None or before.options == shown.options:
        return
    if not await edits.leaves_room(shown.chat_id):
        _wait(correction, "answers come first")
        return
    try:
        with language.speaking(shown.language):
            await _draw(shown)
    except drawing.Busy:
        _wait(correction, "others are drawn first")
    except images.ImageGone as error:
        log.info("photo_not_shown", error=repr(error))
    except TelegramError as error:
        if not error.permanent:
            raise
        log.info("answer_not_edited", chat_id=shown.chat_id, error=str(error))


async def _draw(shown: Prediction) -> None:
    look, caption = looks.first(shown), await answer.caption_of(shown)
    place = shown.chat_id, shown.answer_message_id or 0
    if shown.options.form is Form.JSON:
        data = exports.as_json(shown, shown.detections)
        await edits.turn_into_document(*place, data, caption, name="detections.json")
        await in_thread(predictions.show_again)(shown)
        return
    drawn = shown, shown.detections, shown.options
    picture, _ = await drawing.turn_into(place[1], drawn, caption, looks.keyboard(shown, look))
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
