"""See that photos are answered: only then are their updates confirmed to Telegram."""

import asyncio
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from botsite.bot.incoming import addressed, guests, receive, updates
from botsite.bot.incoming.updates import Correction, Guest, Press
from botsite.bot.words import found
from deploy.local.poll.lanes import Update
from detection.record import queries
from detection.record.schemas import Delivery, Prediction, Status

_LOOK_SECONDS = 0.5
# What DynamoDB is asked for at once.
_AT_ONCE = 100
_SETTLED = (Delivery.DELIVERED, Delivery.UNDELIVERABLE)


class Watching:
    """Updates whose photos the site has, until they are answered.

    `settled` is called with the number of each update that needs nothing more, `say` with a line for each photo.
    """

    def __init__(self, bot_id: int, settled: Callable[[int], None], say: Callable[[str], None]) -> None:
        self._bot_id, self._settled, self._say = bot_id, settled, say
        self._waiting: dict[int, str] = {}

    def taken(self, update: Update) -> None:
        """Take over an update that the site has taken: what is no photo is dealt with."""
        if prediction_id := self._photo_of(update):
            self._waiting[update.number] = prediction_id
        else:
            self._settled(update.number)

    async def run(self) -> None:
        """Look at the photos until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            asked = list(self._waiting.items())
            for start in range(0, len(asked), _AT_ONCE):
                await self._look(asked[start : start + _AT_ONCE])

    async def _look(self, asked: list[tuple[int, str]]) -> None:
        try:
            known = await asyncio.to_thread(queries.known, [prediction_id for _, prediction_id in asked])
        except (ClientError, BotoCoreError):
            # The local AWS is slow or gone; the next look tells.
            return
        for number, prediction_id in asked:
            prediction = known.get(prediction_id)
            # The site has answered 200 without an item: it leaves the photo alone, as in a group.
            if prediction is None or prediction.delivery in _SETTLED:
                del self._waiting[number]
                self._settled(number)
            if prediction and prediction.delivery in _SETTLED:
                self._say(_line(prediction))

    def _photo_of(self, update: Update) -> str | None:
        """Return the id of the prediction for an update's photo, None if it has none."""
        try:
            incoming = updates.parse(update.body)
        except (updates.NotJson, updates.Malformed):
            return None
        if isinstance(incoming, Guest):
            return guests.prediction_id(self._bot_id, incoming, incoming.about) if incoming.about else None
        photo = None if incoming is None or isinstance(incoming, Press | Correction) else addressed.photo_of(incoming)
        return receive.prediction_id(self._bot_id, photo) if photo else None


def _line(prediction: Prediction) -> str:
    """Return what became of a photo: "photo in chat 7 answered in 0.9 s: 3 people, 1 bus"."""
    if prediction.delivery is Delivery.UNDELIVERABLE:
        return f"photo in chat {prediction.chat_id} can't be answered: the chat is closed to the bot"
    if prediction.status is Status.FAILED:
        return f"photo in chat {prediction.chat_id} refused: {prediction.error}"
    came, answered = prediction.received_at, prediction.delivered_at
    seconds = f" in {(answered - came).total_seconds():.1f} s" if came and answered else ""
    counts = found.counts(prediction.detections) if prediction.detections else "nothing found"
    return f"photo in chat {prediction.chat_id} answered{seconds}: {counts}"
