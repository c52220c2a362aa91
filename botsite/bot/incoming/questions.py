"""Answer a question in a reply to an answer, from the boxes that are stored: no job, no picture."""

from dataclasses import replace

from botsite.bot.incoming.updates import Other
from botsite.bot.words import captions, found, replies
from botsite.language import current
from botsite.threads import in_thread
from detection.record import choosing, known_classes, queries
from detection.record.schemas import Prediction, Status


async def answer(asked: Other) -> str:
    """Return what the boxes of the answer that a text replies to say; nothing if it asks nothing that they know."""
    wanted = captions.read(asked.text) if asked.answer_id else None
    if wanted is None or not wanted.question:
        return ""
    options = choosing.resolve(wanted, await in_thread(known_classes.read)(), current())
    known = await in_thread(_answered)(asked) if options.question else None
    if known is None or known.chat_id != asked.chat_id or known.status is not Status.SUCCEEDED or known.is_text:
        return ""
    boxes = choosing.choose(known.candidates or known.detections, replace(options, least=known.options.least))
    text = found.answer_to(options.question, boxes) if boxes else replies.none_of(options.only)
    return "\n\n".join(filter(None, (text, replies.not_understood(options))))


def _answered(asked: Other) -> Prediction | None:
    """Return the photo: by the buttons under its answer or, as an album has none, among the latest of the chat."""
    latest = [asked.answered] if asked.answered else queries.latest_of_chat(asked.chat_id)
    there = queries.known(latest, consistent=True)
    by_message = (each for each in there.values() if each.answer_message_id == asked.answer_id)
    return there.get(asked.answered) or next(by_message, None)
