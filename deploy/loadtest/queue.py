"""Send photos without a bot: store each and queue its job, as a site does with one that it has downloaded."""

import asyncio
import secrets
import time
from dataclasses import dataclass

from deploy.loadtest.plan import Photo
from detection.record import times
from detection.record.schemas import Prediction
from detection.work import jobs

_FIRST_CHAT = 10**9


@dataclass(slots=True)
class QueuedPhoto(Photo):
    """A photo whose sender nobody can answer: it is settled when its result is stored."""

    @property
    def delivered_at(self) -> float | None:
        """Return when the result was stored, by the worker's clock, in seconds since 1970."""
        done = self.prediction
        return done.finished_at.timestamp() if done and done.finished_at else None

    @property
    def settled(self) -> bool:
        """Return whether nothing more will happen."""
        return self.prediction is not None and self.prediction.finished

    @property
    def answered(self) -> bool:
        """Return whether there is a result."""
        return self.settled


def photos(number: int) -> list[Photo]:
    """Return photos of as many made-up people."""
    return [
        QueuedPhoto(count, _FIRST_CHAT + secrets.randbelow(_FIRST_CHAT), count + 1, secrets.token_hex(16), {})
        for count in range(number)
    ]


async def send(image: bytes, photo: Photo, stopped: asyncio.Event) -> None:
    """Store the image and queue its job, unless stopped."""
    await asyncio.to_thread(_submit, image, photo, stopped)


def _submit(image: bytes, photo: Photo, stopped: asyncio.Event) -> None:
    if stopped.is_set():
        return
    photo.sent_at, key = time.time(), f"photos/{photo.prediction_id}"
    ids = (photo.prediction_id, photo.chat_id, photo.message_id)
    jobs.submit(Prediction(*ids, key, received_at=times.now(), photo_bytes=len(image)), image)
    photo.taken_at = time.time()
