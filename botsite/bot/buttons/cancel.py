"""Cancel a photo that nobody has begun, or all such photos of an album."""

import asyncio

from botsite.bot.answers import deliver, waiting
from botsite.bot.buttons.presses import GONE, photo_button
from botsite.bot.incoming.updates import Press
from botsite.bot.telegram import edits
from botsite.language import gettext
from botsite.threads import in_thread
from detection.record import albums, predictions
from detection.record.schemas import Prediction, Status
from detection.record.sentences import noop

TOO_LATE = noop("Too late: I'm looking at it already.")
ANSWERED = noop("This photo is answered already.")


@photo_button(waiting.CANCEL)
async def cancel(prediction: Prediction, press: Press, wanted: str) -> str:
    """Cancel what still waits; return the notice to show."""
    del wanted
    found = (await in_thread(predictions.cancel)(prediction.prediction_id, press.chat_id)).prediction
    if found is None or found.chat_id != press.chat_id:
        return gettext(GONE)
    if found.album_id:
        return await _cancel_album(found)
    if found.cancelled:
        # Pressed twice, perhaps: the second one finds it delivered.
        await deliver.deliver(found.prediction_id)
    if found.finished and press.message_id != found.status_message_id:
        # The site that sent it ended before it had recorded it: no answer will take its place.
        await edits.delete(press.chat_id, press.message_id)
    if found.cancelled:
        return ""
    return gettext(TOO_LATE if found.status is Status.PROCESSING else ANSWERED)


async def _cancel_album(acknowledged: Prediction) -> str:
    album = await in_thread(albums.find)(acknowledged.album_id or "")
    members = [member.prediction_id for member in album.members] if album else [acknowledged.prediction_id]
    cancelled = await asyncio.gather(*(in_thread(predictions.cancel)(one, acknowledged.chat_id) for one in members))
    photos = [one.prediction for one in cancelled if one.prediction]
    stopped = [photo for photo in photos if photo.cancelled]
    if not stopped:
        return gettext(TOO_LATE if any(not photo.delivered for photo in photos) else ANSWERED)
    await deliver.deliver(stopped[0].prediction_id, at_once=True)
    return ""
