"""Tell people who have to wait how the wait goes: one message for each photo, which becomes its answer.

An album gets one for all its photos, which is deleted when the answer comes.

The site that took a photo sends the message and edits it. Nothing depends on that: if the site ends, the message stays
as it is until the answer takes its place.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import in_flight, language
from botsite.bot.answers import answer
from botsite.bot.telegram import edits
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Button
from botsite.bot.words import replies
from botsite.language import gettext
from botsite.threads import in_thread
from detection.record import albums, items, predictions, queries, times
from detection.record.schemas import Delivery, Prediction, Status
from detection.record.sentences import noop
from metrics import wait
from metrics.wait import Outlook

log = structlog.get_logger()

CANCEL = "cancel"
_CANCEL_TEXT = noop("Cancel")
# Who waits for less needs no message.
_SHORT_SECONDS = 1.0
# The webhook's answer waits for the message, at most for so long.
_LONGEST_SECONDS = 4.0
# A message takes a tenth of a second. Where so many are under way, the site is at its limit, and answers come first.
_TOLD_AT_ONCE = 2
_telling: set[asyncio.Task[bool]] = set()
# A message is recorded within this time, or stays: one that may be the answer by now must not be deleted.
_NOTED_WITHIN = timedelta(minutes=10)
_NOTE_AGAIN_SECONDS = 0.5
# How often messages are brought up to date, how many photos are followed at most, how many of one chat, and for how
# long.
_ROUND_SECONDS = 3.0
_FOLLOWED_AT_MOST, _OF_A_CHAT_AT_MOST = 100, 5
_FOLLOWED_FOR = timedelta(hours=1)
# An edit may reach Telegram so much later than this process thinks.
_LATE = timedelta(seconds=10)
# Whoever is further back is told that there are many.
PLACES = 200
_FAILURES = (TelegramError, TimeoutError, ClientError, BotoCoreError)


def needed() -> bool:
    """Return whether a photo that comes now will have to wait. It may wait for AWS, and never raises."""
    if not settings.ACKNOWLEDGE:
        return False
    expected = wait.expected()
    return expected is None or expected >= _SHORT_SECONDS


async def acknowledge(prediction: Prediction) -> bool:
    """Send the message and follow the photo; return whether the message was sent. Never raise: no answer depends on it.

    Its loss is nobody's failure, and it is not made up for. A process with an answer to send leaves it out: a busy
    site's answers would come later for it.
    """
    if in_flight.answering() or len(_telling) >= _TOLD_AT_ONCE:
        return False
    # The webhook's answer doesn't wait long; but a message that comes late has to be known, or it would stay.
    telling = in_flight.start(_tell(prediction))
    _telling.add(telling)
    telling.add_done_callback(_telling.discard)
    done, _ = await asyncio.wait([telling], timeout=_LONGEST_SECONDS)
    return bool(done) and telling.result()


async def _tell(prediction: Prediction) -> bool:
    """Send the message, record it and follow the photo; return whether it was sent."""
    try:
        if prediction.album_id and not await in_thread(albums.acknowledge)(
            prediction.album_id, prediction.prediction_id
        ):
            # Another photo of the album tells them.
            return True
        # First of all: somebody who sends hundreds of photos must not cost a query for each.
        if not await edits.may_send_status(prediction.chat_id):
            return False
        text = await in_thread(_first_text)(prediction)
        message_id = await edits.send_status(
            prediction.chat_id, text, prediction.message_id, cancel_button(prediction), prediction.thread_id
        )
        if await _noted(prediction, message_id):
            _FOLLOWER.add(replace(prediction, status_message_id=message_id), text)
        else:
            await edits.delete(prediction.chat_id, message_id)
    except _FAILURES as error:
        log.info("not_acknowledged", error=str(error))
        return False
    return True


async def _noted(prediction: Prediction, message_id: int) -> bool:
    """Record the message, however long DynamoDB fails; return False if it has to go, as the answer was faster."""
    while True:
        try:
            if prediction.album_id:
                return await in_thread(albums.note_status_message)(prediction.album_id, message_id)
            stored = await in_thread(predictions.note_status_message)(prediction.prediction_id, message_id)
        except (ClientError, BotoCoreError) as error:
            if times.latest(prediction.created_at) < times.now(-_NOTED_WITHIN):
                raise
            log.info("status_not_noted", error=str(error))
            await asyncio.sleep(_NOTE_AGAIN_SECONDS)
        else:
            # A write whose reply was lost is refused when it is repeated.
            known = stored.prediction and stored.prediction.status_message_id
            return stored.granted or known == message_id


def cancel_button(prediction: Prediction) -> Button:
    """Return the button that cancels a photo that waits."""
    with language.speaking(prediction.language):
        return Button(gettext(_CANCEL_TEXT), f"{CANCEL}:{prediction.prediction_id}")


def _first_text(prediction: Prediction) -> str:
    """Return how the wait will go for a photo that has just come."""
    before = queries.waiting_before(times.latest(prediction.created_at), PLACES)
    with language.speaking(prediction.language):
        return _text(before, wait.outlook())


def _texts(predicted: Sequence[Prediction]) -> list[str]:
    """Return how the wait goes for each of these photos."""
    came = queries.waiting_since(PLACES)
    outlook = wait.outlook()
    return [_text_now(prediction, came, outlook) for prediction in predicted]


def _text_now(prediction: Prediction, came: Sequence[datetime], outlook: Outlook | None) -> str:
    with language.speaking(prediction.language):
        if prediction.status is Status.PROCESSING:
            return replies.looking(album=prediction.album_id is not None)
        return _text(bisect_left(came, times.latest(prediction.created_at)), outlook)


def _text(before: int, outlook: Outlook | None) -> str:
    """Return how the wait goes for a photo with so many before it, PLACES or more if there are many."""
    place = before + 1 if before < PLACES else None
    expected = outlook.after(before + 1) if outlook else None
    return replies.in_line(place, expected, starting=bool(outlook and outlook.ready and outlook.starting))


@dataclass(slots=True)
class _Followed:
    """A photo with a message, what the message says, since when it is followed, and when it was last edited."""

    prediction: Prediction
    text: str
    since: datetime
    edited_at: datetime | None = None


class _Follower:
    """Edits the messages of the photos that this process has acknowledged, until they are answered."""

    def __init__(self) -> None:
        self._followed: dict[str, _Followed] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, prediction: Prediction, text: str) -> None:
        """Follow a photo, unless there are many already, or some of its chat."""
        of_chat = sum(each.prediction.chat_id == prediction.chat_id for each in self._followed.values())
        if len(self._followed) >= _FOLLOWED_AT_MOST or of_chat >= _OF_A_CHAT_AT_MOST:
            return
        self._followed[prediction.prediction_id] = _Followed(prediction, text, times.now())
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        took = 0.0
        while self._followed:
            # Slow rounds mean a busy site, whose answers come first.
            await asyncio.sleep(max(_ROUND_SECONDS, took))
            began = time.monotonic()
            try:
                await self._edit_all()
            except _FAILURES as error:
                log.info("statuses_not_edited", error=str(error))
            took = time.monotonic() - began

    async def _edit_all(self) -> None:
        # More may be added while this waits.
        asked = list(self._followed)
        now = await in_thread(queries.known)(asked, consistent=True)
        waits: list[Prediction] = []
        for identity in asked:
            with self._failures_of(identity):
                current = now.get(identity) or await in_thread(_find)(identity)
                if current is None or self._is_over(current):
                    del self._followed[identity]
                elif _waits(current):
                    waits.append(current)
                else:
                    await self._leave(current)
        for prediction, text in zip(waits, await in_thread(_texts)(waits), strict=True):
            with self._failures_of(prediction.prediction_id):
                await self._edit(prediction, text)

    @contextmanager
    def _failures_of(self, prediction_id: str) -> Iterator[None]:
        """Keep a photo's failure from the others; stop following it if the failure is permanent."""
        try:
            yield
        except _FAILURES as error:
            log.info("status_not_edited", prediction_id=prediction_id, error=str(error))
            followed = self._followed.pop(prediction_id)
            # Else they have deleted the message, or blocked the bot.
            if not (isinstance(error, TelegramError) and error.permanent):
                # Last, because it has taken the bot's turn.
                self._followed[prediction_id] = followed

    def _is_over(self, current: Prediction) -> bool:
        """Return whether a photo is followed no longer, whatever became of it."""
        followed = self._followed[current.prediction_id]
        # A group that has become a supergroup has another id, and renumbers its messages.
        moved = current.chat_id != followed.prediction.chat_id
        return moved or followed.since < times.now(-_FOLLOWED_FOR)

    async def _leave(self, prediction: Prediction) -> None:
        """Stop following a photo; first, once it is answered, see that no edit of ours has replaced the answer."""
        followed = self._followed[prediction.prediction_id]
        # An album's message is deleted when the answer comes, unless it says that all photos are cancelled.
        if followed.edited_at and (not prediction.album_id or prediction.cancelled):
            if prediction.delivery in (Delivery.PENDING, Delivery.DELIVERING):
                return
            if prediction.delivered_at and prediction.delivered_at < followed.edited_at + _LATE:
                await answer.put_back(replace(prediction, status_message_id=followed.prediction.status_message_id))
        del self._followed[prediction.prediction_id]

    async def _edit(self, prediction: Prediction, text: str) -> None:
        followed = self._followed[prediction.prediction_id]
        message_id = followed.prediction.status_message_id
        if text == followed.text or message_id is None:
            return
        # Other photos of an album may still be in line.
        cancellable = prediction.status is Status.QUEUED or prediction.album_id
        try:
            edited = await edits.edit_status(
                prediction.chat_id, message_id, text, cancel_button(prediction) if cancellable else None
            )
        except TelegramError:
            # It may have been made all the same.
            followed.edited_at = times.now()
            raise
        if edited:
            followed.text, followed.edited_at = text, times.now()


def _find(prediction_id: str) -> Prediction | None:
    """Return a photo as it is now, or None if it is gone or cannot be read."""
    try:
        return predictions.find(prediction_id)
    except items.Incomplete:
        return None


def _waits(prediction: Prediction) -> bool:
    return not prediction.finished and prediction.delivery is Delivery.PENDING


_FOLLOWER = _Follower()
