"""How an answered photo is looked at: how sure, which class, with labels or without, people blurred or not.

A button holds the whole look, so it works after any restart, and on a message of last month as long as its photo is
kept.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.conf import settings

from botsite import language
from botsite.bot.telegram.sending import Button
from botsite.language import gettext
from detection.record import feedback
from detection.record.choosing import choose
from detection.record.schemas import LEAST, PERSON, Detection, Options, Prediction
from detection.record.sentences import noop

LOOK, CROPS, DATA, ORIGINAL, WRONG, MORE, BACK = "look", "crops", "data", "orig", "wrong", "more", "back"
READ = "read"
# Percent; the steps at which more or less is shown. The model's candidates end at the first, unless a caption asks for
# less, down to DEEPEST.
DEEPEST = 5
STEPS = (10, 15, 25, 40, 50, 60, 75, 90)
_CLASSES_AT_MOST = 4
_DATA = re.compile(r"(?P<least>\d{1,2})(?P<labels>[01])(?P<blur>[01])(?P<only>\d{0,2})", re.ASCII)
SHOW, HIDE = noop("Show {number} more"), noop("Hide {number}")
LABELS_ON, LABELS_OFF = noop("Show labels"), noop("Hide labels")
BLUR_ON, BLUR_OFF = noop("Blur people"), noop("Show people")
EVERYTHING, CROPS_TEXT, DATA_TEXT = noop("Everything"), noop("Crops"), noop("Download data")
ORIGINAL_TEXT, MORE_TEXT, BACK_TEXT = noop("Original size"), noop("More ..."), noop("Back")
READ_TEXT = noop("Read text")
# The same in every language.
RIGHT_TEXT, WRONG_TEXT = "👍", "👎"


# What drawing takes: a photo, the boxes in it that are shown, and how.
Drawn = tuple[Prediction, Sequence[Detection], Options]


@dataclass(frozen=True, slots=True)
class Look:
    """What is shown: from `least` percent on, of the class `only` (if empty, see `options`)."""

    least: int
    only: str = ""
    labels: bool = True
    blur: bool = False

    def at(self, least: int) -> "Look":
        """Return the same look at another confidence."""
        return replace(self, least=least)


def first(prediction: Prediction) -> Look:
    """Return the look of the answer as its sender asked for it, as far as buttons can say it."""
    asked = prediction.options
    least = LEAST if asked.least is None else asked.least
    return Look(min(max(round(least * 100), 1), 99), _single(prediction), asked.labels, asked.blur)


def options(prediction: Prediction, look: Look) -> Options:
    """Return a look as options. The classes of a caption that no button can name count while no other is chosen."""
    unnamed = () if _single(prediction) else prediction.options.only
    return Options((look.only,) if look.only else unnamed, look.least / 100, look.labels, look.blur)


def floor_percent(asked: Options) -> int | None:
    """Return from which confidence on the model has to be asked for this, in percent; None if the usual will do."""
    return DEEPEST if asked.least is not None and asked.least * 100 < STEPS[0] else None


def shown(prediction: Prediction, look: Look) -> list[Detection]:
    """Return what a look shows. Items of earlier releases have no more than what was shown."""
    return choose(prediction.candidates or prediction.detections, options(prediction, look))


def drawn(prediction: Prediction, look: Look) -> Drawn:
    """Return what drawing a look takes: the photo, its boxes and its options."""
    return prediction, shown(prediction, look), options(prediction, look)


def keyboard(prediction: Prediction, look: Look) -> list[list[Button]]:
    """Return the buttons under an answer, in two rows at most; none for clips and the first releases."""
    if prediction.clip or (prediction.detections and not prediction.candidates):
        return []
    more = [_button(prediction, gettext(MORE_TEXT), look, MORE)] if more_buttons(prediction, look)[1:] else []
    right = [Button(RIGHT_TEXT, data(prediction, look, WRONG, feedback.RIGHT))]
    wrong = [_button(prediction, WRONG_TEXT, look, WRONG)]
    read = [] if shown(prediction, look) else _read(prediction, look)
    rows = [[*read, *_levels(prediction, look), *_classes(prediction, look)[:1]], [*more, *right, *wrong]]
    return [row for row in rows if row]


def more_buttons(prediction: Prediction, look: Look) -> list[list[Button]]:
    """Return the buttons behind "More", and the way back."""
    found = shown(prediction, look)
    people = any(box.label == PERSON for box in prediction.candidates)
    # One class has no labels in the picture, but for a "?".
    worded = len({box.label for box in found}) > 1 or any(box.unsure for box in found)
    ways = [(LABELS_OFF if look.labels else LABELS_ON, replace(look, labels=not look.labels))] if worded else []
    ways += [(BLUR_OFF if look.blur else BLUR_ON, replace(look, blur=not look.blur))] if people else []
    files = [(CROPS, CROPS_TEXT), (DATA, DATA_TEXT)] if found else []
    files += [(ORIGINAL, ORIGINAL_TEXT)] if prediction.shrunk and found else []
    rows = [
        [_button(prediction, gettext(BACK_TEXT), look, BACK)],
        _classes(prediction, look)[1:],
        [_button(prediction, gettext(text), other) for text, other in ways],
        [_button(prediction, gettext(text), look, action) for action, text in files],
        _read(prediction, look) if found else [],
    ]
    return [row for row in rows if row]


def read(prediction: Prediction, data: str) -> Look | None:
    """Return the look encoded in a button's data, None if the data is not one of this photo's looks."""
    match = _DATA.fullmatch(data)
    labels = _labels(prediction)
    if not match or (match["only"] and int(match["only"]) >= len(labels)):
        return None
    only = labels[int(match["only"])] if match["only"] else ""
    return Look(int(match["least"]), only, match["labels"] == "1", match["blur"] == "1")


def _levels(prediction: Prediction, look: Look) -> list[Button]:
    """Return buttons for the next steps at which something appears, or goes while something else stays."""
    steps = STEPS if prediction.floor_percent is None else (DEEPEST, *STEPS)
    now, numbers = len(shown(prediction, look)), {step: len(shown(prediction, look.at(step))) for step in steps}
    more = [step for step in steps if step < look.least and numbers[step] > now][-1:]
    fewer = [step for step in steps if step > look.least and 0 < numbers[step] < now][:1]
    return [
        _button(prediction, gettext(text).format(number=abs(numbers[step] - now)), look.at(step))
        for text, steps_there in ((SHOW, more), (HIDE, fewer))
        for step in steps_there
    ]


def _classes(prediction: Prediction, look: Look) -> list[Button]:
    """Return buttons for the classes that are surely there, most first, or the way back from one."""
    if look.only:
        return [_button(prediction, gettext(EVERYTHING), replace(look, only=""))]
    found = shown(prediction, look)
    numbers = Counter(box.label for box in found if not box.unsure)
    if len({box.label for box in found}) < 2:
        return []
    return [
        _button(prediction, gettext("Only {name}").format(name=language.several(label)), replace(look, only=label))
        for label, _ in numbers.most_common(_CLASSES_AT_MOST)
    ]


def _read(prediction: Prediction, look: Look) -> list[Button]:
    return [_button(prediction, gettext(READ_TEXT), look, READ)] if settings.READ_TEXT else []


def data(prediction: Prediction, look: Look, action: str = LOOK, word: str = "") -> str:
    """Return what a button holds."""
    return ":".join(filter(None, (action, prediction.prediction_id, _written(prediction, look), word)))


def _button(prediction: Prediction, text: str, look: Look, action: str = LOOK) -> Button:
    return Button(text, data(prediction, look, action))


def _written(prediction: Prediction, look: Look) -> str:
    only = _labels(prediction).index(look.only) if look.only else ""
    return f"{look.least:02d}{look.labels:d}{look.blur:d}{only}"


def _single(prediction: Prediction) -> str:
    """Return the one class that its caption asks for, if a button can name it."""
    only = prediction.options.only
    return only[0] if len(only) == 1 and only[0] in _labels(prediction) else ""


def _labels(prediction: Prediction) -> list[str]:
    """Return the classes that buttons can name: they are numbered in this order."""
    return sorted({box.label for box in prediction.candidates})
