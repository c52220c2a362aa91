"""Show somebody their photos: a list, a page at a time, newest first; one again at a press; and numbers about all.

Only in a private chat, where all photos are theirs; one of an album anywhere, by the line behind its answer. A photo
is shown again by the id that Telegram has given its picture, which costs nothing; it is sent once for that.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog
from telegram import Message

from botsite import language
from botsite.bot.answers import album_menu
from botsite.bot.answers import answer as answer_of
from botsite.bot.buttons import looks
from botsite.bot.buttons.presses import button, only_once, photo_button
from botsite.bot.incoming.updates import Command, Press
from botsite.bot.people.commands import command
from botsite.bot.people.preferences import only_in_private
from botsite.bot.telegram import api, clock, edits
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Button, Keyboard
from botsite.bot.words import found, replies
from botsite.language import gettext, isolated, ngettext
from botsite.threads import in_thread
from detection.record import images, predictions, queries, times
from detection.record.queries import Place
from detection.record.schemas import Prediction, Status
from detection.record.sentences import LIMITS, noop

log = structlog.get_logger()

HISTORY = "past"
NOTHING = noop("I have no photos of yours. Send me one.")
NEWER, OLDER = noop("Newer"), noop("Older")
WAITS = noop("not answered yet")
NOT_YOURS = noop("These are somebody else's photos.")
GONE = noop("I don't have this photo any more.")
UNKNOWN = noop("I don't know this button any more. Send /history again.")
_PAGE = 5
# So many are read at once for a page, so often: who sent too many at once finds the photos before them.
_READ_FOR_PAGE, _READS_AT_MOST = 20, 10
# Statistics are about this many photos at most, read some at a time, for one chat at a time.
_COUNTED_AT_MOST, _READ_AT_ONCE = 100, 25
_counting = asyncio.Semaphore(1)
_FREQUENT = 5
_LINE_LENGTH = 120
_PLACE = re.compile(r"(?P<way>[on]):(?P<id>[0-9a-f]{1,32}):(?P<at>\d{1,15})", re.ASCII)


@command("history")
async def answer(asked: Command) -> None:
    """Answer /history. Raise TelegramError or botocore's errors."""
    if asked.chat_id != asked.sender_id:
        await only_in_private(asked)
        return
    text, keyboard = await in_thread(_page)(asked.chat_id, None, True)
    await api.send_text(asked.chat_id, text, asked.message_id, keyboard=keyboard)


@command("stats")
async def statistics(asked: Command) -> None:
    """Answer /stats. Raise TelegramError or botocore's errors."""
    if asked.chat_id != asked.sender_id:
        await only_in_private(asked)
        return

    async def text() -> str:
        async with _counting:
            return await in_thread(_statistics)(asked.chat_id)

    await api.send_text(asked.chat_id, text, asked.message_id)


@button(HISTORY)
async def pressed(press: Press, wanted: str) -> str:
    """Turn to another page, or show a photo again; return the notice to show."""
    if press.chat_id != press.pressed_by:
        return gettext(NOT_YOURS)
    action, _, prediction_id = wanted.partition(":")
    if action == "s":
        return await _show(press, prediction_id)
    place = _PLACE.fullmatch(wanted)
    if place is None:
        return gettext(UNKNOWN)
    at = datetime.fromtimestamp(int(place["at"]) / 1000, UTC) if int(place["at"]) < 4e12 else times.now()
    text, keyboard = await in_thread(_page)(press.chat_id, Place(place["id"], at), place["way"] == "o")
    await edits.turn_into_text(press.chat_id, press.message_id, text, keyboard=keyboard)
    return ""


def _page(chat_id: int, start: Place | None, older: bool) -> tuple[str, list[list[Button]]]:
    """Return the photos behind a place, in that direction, and the buttons that show them and their neighbours."""
    there, more = _photos(chat_id, start, older)
    if not there:
        return gettext(NOTHING), []
    lines = [f"{number}. {_line(prediction)}" for number, prediction in enumerate(there, 1)]
    shows = [
        Button(str(number), f"{HISTORY}:s:{prediction.prediction_id}")
        for number, prediction in enumerate(there, 1)
        if prediction.status is Status.SUCCEEDED
    ]
    is_newer, is_older = (start is not None, more) if older else (more, True)
    turns = [Button(gettext(NEWER), _data("n", there[0]))] if is_newer else []
    turns += [Button(gettext(OLDER), _data("o", there[-1]))] if is_older else []
    return "\n".join(lines), [row for row in (shows, turns) if row]


def _photos(chat_id: int, start: Place | None, older: bool) -> tuple[list[Prediction], bool]:
    """Return the photos of a page, newest first, and whether more follow; those over a limit are left out."""
    there, more = list[Prediction](), True
    for _ in range(_READS_AT_MOST):
        ids, more = queries.page_of_chat(chat_id, start, older=older, limit=_READ_FOR_PAGE)
        known = queries.known(ids)
        read = [known[each] for each in (ids if older else ids[::-1]) if each in known]
        refused = [each for each in read if each.reason and each.reason.code in LIMITS]
        there += [each for each in read if each not in refused and not each.is_text]
        if not (read and more) or len(there) >= _PAGE:
            break
        start = Place(read[-1].prediction_id, times.latest(read[-1].created_at))
    page = there[:_PAGE]
    return page if older else page[::-1], more or len(there) > _PAGE


def _line(prediction: Prediction) -> str:
    what = _found(prediction) if prediction.finished else gettext(WAITS)
    text = f"{_time(prediction)}: {what}"
    return text if len(text) <= _LINE_LENGTH else f"{text[: _LINE_LENGTH - 1]}…"


def _found(prediction: Prediction) -> str:
    if prediction.status is Status.FAILED:
        return replies.failure_of(prediction)
    return found.counts(prediction.detections) or replies.nothing_found()


def _time(prediction: Prediction) -> str:
    return isolated(clock.written(times.latest(prediction.created_at).replace(second=0)))


def _data(way: str, prediction: Prediction) -> str:
    at = round(times.latest(prediction.created_at).timestamp() * 1000)
    return f"{HISTORY}:{way}:{prediction.prediction_id}:{at}"


async def _show(press: Press, prediction_id: str) -> str:
    """Send a photo again, as a reply to when it was sent, with the buttons of its answer."""
    known = await in_thread(queries.known)([prediction_id] if predictions.possible(prediction_id) else [])
    prediction = known.get(prediction_id)
    if prediction is None or prediction.chat_id != press.chat_id or prediction.status is not Status.SUCCEEDED:
        return gettext(GONE)
    return await _send_again(prediction, f"{_time(prediction)}\n{_found(prediction)}"[: found.CAPTION_LENGTH])


@photo_button(album_menu.OPEN, messages=1)
async def open_photo(prediction: Prediction, press: Press, wanted: str) -> str:
    """Send a photo of an album alone, with its buttons, once for somebody who presses twice."""
    del wanted
    with language.speaking(prediction.language):
        caption = await answer_of.caption_of(prediction)
        return await only_once(press, partial(_send_again, prediction, caption))


async def _send_again(prediction: Prediction, caption: str) -> str:
    keyboard = looks.keyboard(prediction, looks.first(prediction))
    if prediction.picture_file_id:
        try:
            await _send(prediction, prediction.picture_file_id, caption, keyboard)
        except TelegramError as error:
            if not error.permanent or error.blocked:
                raise
            # Another bot's id, perhaps: an operator has stored another token since.
            log.info("file_id_refused", error=str(error))
        else:
            return ""
    try:
        picture = bytes(await in_thread(images.get)(prediction.result_key))
    except images.ImageGone:
        return gettext(GONE)
    sent = await _send(prediction, picture, caption, keyboard)
    if sent.photo:
        await in_thread(predictions.note_picture)(prediction.prediction_id, sent.photo[-1].file_id)
    return ""


async def _send(prediction: Prediction, picture: bytes | str, caption: str, keyboard: Keyboard) -> Message:
    """Send a picture."""
    return await api.send_image(
        prediction.chat_id,
        picture,
        caption,
        form="photo",
        name="detections.jpg",
        # A guest's message stands in another chat.
        reply_to=None if prediction.guest_query_id else prediction.message_id,
        thread_id=prediction.thread_id,
        keyboard=keyboard,
        spoiler=prediction.spoiler,
    )


def _statistics(chat_id: int) -> str:
    """Return how many photos there are, what was in them, and how long answers took."""
    ids, more = queries.page_of_chat(chat_id, None, older=True, limit=_COUNTED_AT_MOST)
    there, objects = list[Prediction](), Counter[str]()
    for first in range(0, len(ids), _READ_AT_ONCE):
        found_in = queries.known_briefly(ids[first : first + _READ_AT_ONCE]).values()
        objects.update(box.label for prediction in found_in for box in prediction.detections)
        there += [replace(prediction, detections=(), candidates=()) for prediction in found_in]
    if not there:
        return gettext(NOTHING)
    since = min(times.latest(prediction.created_at) for prediction in there)
    photos = ngettext("{number} photo since {day}", "{number} photos since {day}", len(there))
    form = gettext("Your newest {number} photos, since {day}") if more else photos
    lines = [form.format(number=len(there), day=isolated(f"{since:%Y-%m-%d}"))]
    total = objects.total()
    lines.append(ngettext("{number} object in them", "{number} objects in them", total).format(number=total))
    if objects:
        names = gettext(", ").join(found.numbered(number, label) for label, number in objects.most_common(_FREQUENT))
        lines.append(gettext("Most often: {names}").format(names=names))
    if waits := _waits(there):
        lines.append(gettext("Typical answer: {time}").format(time=replies.about(waits)))
    return "\n".join(lines)


def _waits(there: Sequence[Prediction]) -> float:
    """Return the median of the seconds to an answer, 0 without answers."""
    seconds = sorted(
        (prediction.delivered_at - since).total_seconds()
        for prediction in there
        if prediction.delivered_at and (since := prediction.received_at or prediction.created_at)
    )
    return seconds[len(seconds) // 2] if seconds else 0.0
