"""Read what a caption asks for: `only person, car`, `conf 0.4`, `labels off`, `blur`, `crops`, `json`.

Most captions ask for nothing, and are about the photo. Words that are no options are mentioned only beside some that
are, or if they are almost one. The options are English in every language, the classes' names are the sender's too.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from botsite.bot import classes
from botsite.bot.language import ENGLISH, current
from detection.schemas import EVERYTHING, Form, Options, Unknown

_WORD = re.compile(r"[^\s,;،؛]+|[,;،؛]")
_SEPARATORS = (",", ";", "،", "؛")
_AND = frozenset({"and", "und", "y", "и", "و"})
_SWITCHES = {"on": True, "off": False}
_KEYWORDS = ("only", "conf", "confidence", "labels", "blur", "crops", "crop", "json")
# People write as they speak.
_FILLERS = _AND | frozenset({"please", "the", "people", "with", "no", "a", "an"})
# "blurr" and "onyl" are slips; "block" isn't.
_CLOSE = 0.75
# A caption has at most 1024 characters; no more than these are told apart.
_NAMES_AT_MOST, _UNKNOWN_AT_MOST, _NAME_LENGTH = 20, 5, 40


def read(caption: str, preferred: Options = EVERYTHING) -> Options:
    """Return what a caption asks for, and what of it is not understood with the nearest option ("" if none is).

    Where it says nothing, what its sender prefers counts.
    """
    # Without the bot's name and a command, by which it is called.
    found = _WORD.findall(caption.lower().replace(":", " ").replace("=", " "))
    words = [word for word in found if word[:1] not in ("@", "/")]
    reader = _Reader(words, preferred)
    reader.read()
    odd = [Unknown(word[:_NAME_LENGTH], _nearest(word)) for word in reader.odd]
    if not reader.asked:
        # "bluured" about a photo of a race is no option: only one word that is almost one counts.
        odd = [each for each in odd if each.nearest]
    return replace(reader.options, unknown=tuple(odd[:_UNKNOWN_AT_MOST]))


class _Reader:
    """Goes through the words once; each option takes what belongs to it."""

    def __init__(self, words: Sequence[str], preferred: Options) -> None:
        self.words = list(words)
        self.options = preferred
        self.odd: list[str] = []
        self.asked = False

    def read(self) -> None:
        while self.words:
            word = self.words.pop(0)
            if word in _SEPARATORS or word in _FILLERS:
                continue
            if not self._option(word) and word not in _KEYWORDS:
                self.odd.append(word)

    def _option(self, word: str) -> bool:
        """Read the option that begins with this word; return whether one does."""
        match word:
            case "only":
                self.options = replace(self.options, only=self._names())
                asked = bool(self.options.only)
            case "conf" | "confidence":
                asked = self._confidence()
            case "labels" | "label" if self.words[:1] and self.words[0] in _SWITCHES:
                self.options = replace(self.options, labels=_SWITCHES[self.words.pop(0)])
                asked = True
            case "blur":
                on = _SWITCHES[self.words.pop(0)] if self.words[:1] and self.words[0] in _SWITCHES else True
                self.options = replace(self.options, blur=on)
                asked = True
            case "crops" | "crop":
                self.options = replace(self.options, form=Form.CROPS)
                asked = True
            case "json":
                self.options = replace(self.options, form=Form.JSON)
                asked = True
            case _:
                return False
        self.asked |= asked
        return asked

    def _names(self) -> tuple[str, ...]:
        """Return the names up to the next option; a name is what stands between commas or an "and"."""
        names: list[str] = [""]
        while self.words and self.words[0] not in _KEYWORDS:
            word = self.words.pop(0)
            if word in _SEPARATORS or word in _AND:
                names.append("")
            else:
                names[-1] = f"{names[-1]} {word}".strip()[:_NAME_LENGTH]
        return tuple(dict.fromkeys(map(_label, filter(None, names))))[:_NAMES_AT_MOST]

    def _confidence(self) -> bool:
        """Read 0.4, 40 or 40%."""
        try:
            number = float(self.words[0].removesuffix("%")) if self.words else -1.0
        except ValueError:
            return False
        least = number / 100 if number > 1 else number
        if not 0 < least <= 1:
            return False
        self.words.pop(0)
        self.options = replace(self.options, least=round(least, 2))
        return True


def _label(name: str) -> str:
    """Return the label for a class's name in the sender's language; the worker knows the English ones."""
    return name if current() == ENGLISH else classes.labels_by_name().get(name, name)


def _nearest(word: str) -> str:
    return next(iter(get_close_matches(word, _KEYWORDS, 1, _CLOSE)), "")
