"""Let people say whether an answer is right: all of it, which box is not, or that something was missed.

While they are asked, the picture wears the buttons' numbers. Operators see what is said.
"""

from dataclasses import replace

from botsite import language
from botsite.bot.answers import drawing
from botsite.bot.buttons import looks, redraw
from botsite.bot.buttons.looks import Look
from botsite.bot.buttons.presses import UNKNOWN, photo_button
from botsite.bot.incoming.updates import Press
from botsite.bot.telegram.sending import Button
from botsite.language import gettext
from botsite.threads import in_thread
from detection.record import feedback
from detection.record.schemas import Detection, Prediction
from detection.record.sentences import noop

THANKS = noop("Thank you. The operator of this bot will see it.")
MISSED = noop("You missed something")
# Each is a button, and Telegram takes a hundred.
_BOXES_AT_MOST = 20


@photo_button(looks.WRONG, messages=1)
async def complain(prediction: Prediction, press: Press, wanted: str) -> str:
    """Store what is right or wrong; ask, if that is still to be said and there is a choice."""
    written, _, word = wanted.partition(":")
    look = looks.read(prediction, written)
    if look is None or (word and not _known(prediction, word)):
        return gettext(UNKNOWN)
    boxes = _listed(prediction, look)
    if not word and boxes:
        with language.speaking(prediction.language):
            caption, buttons = redraw.caption(prediction, look), keyboard(prediction, look)
            await drawing.turn_into(press.message_id, numbered(prediction, look), caption, buttons)
        return ""
    stored = await in_thread(feedback.add)(prediction, word or feedback.MISSED)
    if stored and word not in ("", feedback.RIGHT):
        with language.speaking(prediction.language):
            await redraw.look(prediction, press.message_id, look)
    return gettext(THANKS)


def keyboard(prediction: Prediction, look: Look) -> list[list[Button]]:
    """Return the buttons: the boxes that a look shows from left to right, by the numbers that they wear."""
    numbers = {box: number for number, box in enumerate(prediction.candidates)}
    boxes = [
        Button(
            gettext("{number}. {name}, {percent}%").format(
                number=place, name=language.called(box.label), percent=round(box.confidence * 100)
            ),
            looks.data(prediction, look, looks.WRONG, str(numbers[box])),
        )
        for place, box in enumerate(_listed(prediction, look), 1)
    ]
    rows = [boxes[start : start + 2] for start in range(0, len(boxes), 2)]
    missed = Button(gettext(MISSED), looks.data(prediction, look, looks.WRONG, feedback.MISSED))
    return [*rows, [missed], [Button(gettext(looks.BACK_TEXT), looks.data(prediction, look))]]


def numbered(prediction: Prediction, look: Look) -> looks.Drawn:
    """Return what to draw: the boxes on the buttons, each with its number for a name, in its class's colour."""
    boxes = list(enumerate(_listed(prediction, look), 1))
    classes = {str(number): prediction.classes.get(box.label, len(prediction.classes)) for number, box in boxes}
    shown = [replace(box, label=str(number)) for number, box in boxes]
    return replace(prediction, classes=classes), shown, replace(looks.options(prediction, look), labels=True)


def _listed(prediction: Prediction, look: Look) -> list[Detection]:
    shown = (box for box in looks.shown(prediction, look) if box in prediction.candidates)
    return sorted(shown, key=lambda box: box.cx)[:_BOXES_AT_MOST]


def _known(prediction: Prediction, word: str) -> bool:
    """Return whether a word of a button says something about this photo."""
    number = int(word) if word.isascii() and word.isdecimal() and len(word) < 4 else -1
    return word in (feedback.MISSED, feedback.RIGHT) or 0 <= number < len(prediction.candidates)
