"""Send photos without a bot: what a site does with one that it has downloaded."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from botsite import celery
from deploy.loadtest import send
from deploy.loadtest.plan import Photo
from detection.record import times
from detection.record.schemas import Prediction
from detection.work import jobs

_FIRST_CHAT = 10**9


@dataclass(slots=True)
class Job(Photo):
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
        Job(count, _FIRST_CHAT + secrets.randbelow(_FIRST_CHAT), count + 1, secrets.token_hex(16), {})
        for count in range(number)
    ]


@dataclass
class Queue:
    """Stores photos, and sends their jobs."""

    image: bytes = field(repr=False)
    url: str = "the jobs queue"
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        # Celery has the settings of when it was first looked at, when there was no queue yet.
        celery.reconfigure()

    async def send(self, photos: Sequence[Photo], offsets: Sequence[float]) -> None:
        """Send the job of each photo at its offset from now, in seconds."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for photo, offset in zip(photos, offsets, strict=True):
                if await send.pause(self.stopped, started + offset - time.monotonic()):
                    return
                tasks.create_task(asyncio.to_thread(self._submit, photo))

    def _submit(self, photo: Photo) -> None:
        if self.stopped.is_set():
            return
        photo.sent_at, key = time.time(), f"photos/{photo.prediction_id}"
        prediction = Prediction(
            photo.prediction_id,
            photo.chat_id,
            photo.message_id,
            key,
            received_at=times.now(),
            photo_bytes=len(self.image),
        )
        jobs.submit(prediction, self.image)
        photo.taken_at = time.time()
