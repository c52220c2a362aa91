"""Let people say what is wrong with an answer: which box, or that something was missed. Operators see it."""

from botsite import language
from botsite.bot.buttons import looks
from botsite.bot.buttons.looks import Look
from botsite.bot.buttons.presses import UNKNOWN, look_button, photo_button
from botsite.bot.incoming.updates import Press
from botsite.bot.telegram import edits
from botsite.bot.telegram.sending import Button
from botsite.language import gettext
from botsite.threads import in_thread
from detection.record import feedback
from detection.record.schemas import Prediction
from detection.record.sentences import noop

THANKS = noop("Thank you. The operator of this bot will see it.")
MISSED, BACK = noop("You missed something"), noop("Back")
# Each takes a row, and Telegram a hundred buttons.
_BOXES_AT_MOST = 20


@photo_button(looks.WRONG, messages=1)
async def complain(prediction: Prediction, press: Press, wanted: str) -> str:
    """Put a button for each box under the answer, and store what is wrong at the press of one."""
    written, _, word = wanted.partition(":")
    look = looks.read(prediction, written)
    if look is None or (word and not _known(prediction, word)):
        return gettext(UNKNOWN)
    if not word:
        await edits.change_keyboard(press.chat_id, press.message_id, keyboard(prediction, look))
        return ""
    if await in_thread(feedback.add)(prediction, word):
        await edits.change_keyboard(press.chat_id, press.message_id, looks.keyboard(prediction, look))
    return gettext(THANKS)


@look_button(looks.BACK)
async def back(prediction: Prediction, message_id: int, wanted: Look) -> str:
    """Bring the answer's own buttons back."""
    await edits.change_keyboard(prediction.chat_id, message_id, looks.keyboard(prediction, wanted))
    return ""


def keyboard(prediction: Prediction, look: Look) -> list[list[Button]]:
    """Return the buttons: the boxes that a look shows from left to right, as they are labelled."""
    shown = sorted(looks.shown(prediction, look), key=lambda box: box.cx)[:_BOXES_AT_MOST]
    numbers = {box: number for number, box in enumerate(prediction.candidates)}
    boxes = [
        Button(
            gettext("{number}. {name}, {percent} %").format(
                number=place, name=language.called(box.label), percent=round(box.confidence * 100)
            ),
            looks.data(prediction, look, looks.WRONG, str(numbers[box])),
        )
        for place, box in enumerate(shown, 1)
        if box in numbers
    ]
    rows = [boxes[start : start + 2] for start in range(0, len(boxes), 2)]
    missed = Button(gettext(MISSED), looks.data(prediction, look, looks.WRONG, feedback.MISSED))
    return [*rows, [missed], [Button(gettext(BACK), looks.data(prediction, look, looks.BACK))]]


def _known(prediction: Prediction, word: str) -> bool:
    """Return whether a word of a button says something about this photo."""
    number = int(word) if word.isascii() and word.isdecimal() and len(word) < 4 else -1
    return word == feedback.MISSED or 0 <= number < len(prediction.candidates)
