"""Have the model look at a photo again, below 10 %: a new job with an answer of its own.

What is stored of a photo ends at some confidence. The new prediction has an id that is derived from the first one's, so
a photo is looked at once more at most, however often the button is pressed.
"""

import hashlib
import hmac

from asgiref.sync import sync_to_async
from django.conf import settings

from botsite import pause
from botsite.bot import acknowledge, fairness, limits, looks
from botsite.bot.looks import Look
from detection import deletions, images, jobs, operations, times
from detection.schemas import Prediction
from detection.sentences import noop

_in_thread = sync_to_async(thread_sensitive=False)
LOOKING = noop("I'll look at it once more.")
LOOKED = noop("I've looked at it once more already.")


async def look(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Send the job, and return what to tell, in English. Raise images.ImageGone, limits.Busy or botocore's errors.

    It counts as a photo of the person's.
    """
    del message_id
    if prediction.floor_percent:
        return LOOKED
    if await _in_thread(images.head)(prediction.image_key, 1) is None:
        raise images.ImageGone(f"{prediction.image_key} is not there any more")
    again, person = _deeper(prediction, wanted), prediction.sender_id or prediction.chat_id
    if not await _in_thread(jobs.find)(again.prediction_id):
        reached = await _in_thread(limits.take)(person, again.prediction_id)
        if reached:
            return fairness.sentence(reached)
    created = await _in_thread(jobs.submit_stored)(again)
    # A deletion that has begun since may have looked before this was stored.
    whose, came_at = (prediction.chat_id, prediction.sender_id), times.latest(prediction.created_at)
    if await _in_thread(deletions.covers)(*whose, came_at, prediction.author_id):
        await _in_thread(operations.delete)(again.prediction_id)
        raise images.ImageGone(f"{prediction.prediction_id} was deleted")
    stored = created.prediction
    if stored is None or stored.finished:
        return LOOKED
    if created.granted and not await _in_thread(pause.current)() and await _in_thread(acknowledge.needed)():
        await acknowledge.acknowledge(stored)
    return LOOKING


def _deeper(prediction: Prediction, wanted: Look) -> Prediction:
    """Return a prediction for the same photo, in the same message, that is shown as the look but for its confidence."""
    return Prediction(
        _derived(prediction.prediction_id),
        prediction.chat_id,
        prediction.message_id,
        image_key=prediction.image_key,
        photo_bytes=prediction.photo_bytes,
        sender_id=prediction.sender_id,
        author_id=prediction.author_id,
        thread_id=prediction.thread_id,
        language=prediction.language,
        as_file=prediction.as_file,
        floor_percent=looks.DEEPEST,
        received_at=times.now(),
        options=looks.options(prediction, wanted.at(looks.DEEPEST)),
    )


def _derived(prediction_id: str) -> str:
    identity = f"{prediction_id}:{looks.DEEPER}"
    return hmac.new(settings.PREDICTION_ID_KEY.encode(), identity.encode(), hashlib.sha256).hexdigest()[:32]
