"""Read what a caption asks for: `only person, car`, `conf 0.4`, `labels off`, `blur`, `crops`, `json`.

Most captions ask for nothing, and are about the photo. Words that are no options are mentioned only beside some that
are, or if they are almost one. Options and names are those of the sender's language, or English.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import takewhile

from botsite import language
from botsite.bot.buttons import looks
from botsite.bot.words import questions
from botsite.language import ENGLISH, current, names
from detection.record.choosing import UNKNOWN_AT_MOST
from detection.record.schemas import EVERYTHING, PERSON, Form, Options, Unknown

# "0,4" is one word, as some languages write 0.4.
_WORD = re.compile(r"\d{1,3},\d{1,3}[%٪]?|[^\s,;،؛]+|[,;،؛]")
_BEFORE, _AFTER = "¿¡(\"'“„«", ".!?…؟)\"'”“»"
_SEPARATORS = frozenset(",;،؛")
_SWITCHES = {"on": True, "off": False}
_NOT = frozenset({"no", "not", "don't", "without", "hide", "ohne", "kein", "keine", "sin", "без", "بدون"})
_FORMS = {"crops": Form.CROPS, "crop": Form.CROPS, "json": Form.JSON}
_SUGGESTED = ("only", "conf", "confidence", "labels", "blur", "crops", "crop", "json")
_KEYWORDS = frozenset({*_SUGGESTED, "label"})
# People write as they speak.
_FILLERS = language.ARTICLES | frozenset(
    {"please", "do", "turn", "show", "me", "with", "bitte", "mit", "por", "favor", "con", "пожалуйста", "с", "%", "٪"}
)
# "blurr" and "onyl" are slips; "block" isn't.
_CLOSE = 0.75
# A caption has at most 1024 characters; no more than these are told apart.
_NAMES_AT_MOST, _NAME_LENGTH = 20, 40
# What has more words than this is no name of a class, but prose.
_WORDS_OF_NAME = 2


def read(caption: str, preferred: Options = EVERYTHING) -> Options:
    """Return what a caption asks for, and what of it is not understood with the nearest option ("" if none is).

    Where it says nothing, what its sender prefers counts.
    """
    question, named, caption = questions.read(caption)
    # Without the bot's name and a command, by which it is called.
    found = _WORD.findall(caption.lower().replace(":", " ").replace("=", " ").replace("’", "'"))
    words = [word.lstrip(_BEFORE).rstrip(_AFTER) for word in found if word[:1] not in ("@", "/")]
    own = names.options(current())
    reader = _Reader([own.get(language.fold(word), word) for word in words if word], preferred)
    reader.read()
    # "bluured" about a photo of a race is no option: only one word that is almost one counts.
    odd = [each for each in reader.odd if each.nearest or reader.asked]
    if question:
        only = tuple(map(_label, named))
        return replace(reader.options, only=only, question=question)
    return replace(reader.options, unknown=tuple(odd[:UNKNOWN_AT_MOST]))


class _Reader:
    """Goes through the words once; each option takes what belongs to it."""

    def __init__(self, words: Sequence[str], preferred: Options) -> None:
        self.words = list(words)
        self.options = preferred
        self.odd: list[Unknown] = []
        self.asked = False

    def read(self) -> None:
        on, prose = True, False
        while self.words:
            word = self.words.pop(0)
            if word in _NOT or word in _SWITCHES:
                on = _SWITCHES.get(word, False)
            elif word in _FILLERS or word in names.JOINED or names.meaning(word).label == PERSON:
                # "blur the faces"
                continue
            elif word in _SEPARATORS:
                on = True
            elif word == "only":
                on, prose = True, self._only() or prose
            else:
                self._option(word, on=on)
                on = True
        if prose and not self.asked:
            self.options = replace(self.options, only=())

    def _only(self) -> bool:
        """Read the names that "only" chooses; return whether they may be a sentence: "Only two days old"."""
        found = self._names()
        if not found:
            return False
        self.options = replace(self.options, only=tuple(dict.fromkeys(map(_label, found))))
        prose = any(name.count(" ") >= _WORDS_OF_NAME for name in found)
        if prose and not any(names.meaning(name).label for name in found):
            return True
        self.asked = True
        return False

    def _names(self) -> list[str]:
        """Return the names up to the next option; a name is what stands between commas or an "and"."""
        found: list[str] = [""]
        while self.words and self.words[0] not in _KEYWORDS and self.words[0] not in _NOT:
            word = self.words.pop(0)
            if word in _SEPARATORS or word in names.JOINED:
                found.append("")
            elif word not in _FILLERS:
                found[-1] = f"{found[-1]} {word}".strip()[:_NAME_LENGTH]
        return list(filter(None, found))[:_NAMES_AT_MOST]

    def _option(self, word: str, *, on: bool) -> None:
        """Read the option that begins with this word, or note that none does. "no" before it has turned it off."""
        match word:
            case "conf" | "confidence":
                self._confidence(word)
                return
            case "labels" | "label" if on and self.words[:1] not in (["on"], ["off"]):
                self._note(word, "labels off" if word == "labels" else "")
                return
            case "labels" | "label":
                self.options = replace(self.options, labels=self._switched() is on)
            case "blur":
                self.options = replace(self.options, blur=self._switched() is on)
            case "crops" | "crop" | "json":
                self._form(_FORMS[word], on=self._switched() is on)
            case _:
                self.odd.append(Unknown(word[:_NAME_LENGTH], _nearest(word[:_NAME_LENGTH])))
                return
        self.asked = True

    def _switched(self) -> bool:
        """Read "on" or "off", if that comes next."""
        return _SWITCHES[self.words.pop(0)] if self.words and self.words[0] in _SWITCHES else True

    def _form(self, form: Form, *, on: bool) -> None:
        if on or self.options.form is form:
            self.options = replace(self.options, form=form if on else Form.PICTURE)

    def _confidence(self, word: str) -> None:
        """Read 0.4, 0,4, 40 or 40%."""
        text = self.words[0] if self.words else ""
        percent = text.endswith(("%", "٪"))
        try:
            number = float(text.rstrip("%٪").replace(",", ".").replace("٫", "."))
        except ValueError:
            # "Confidence" is a word of English, too.
            self._note(word, "conf 0.4" if word == "conf" else "")
            return
        least = number / 100 if percent or number > 1 else number
        if not looks.DEEPEST / 100 <= least <= 1:
            self._note(word, "conf 0.05" if 0 < least < 1 else "conf 0.4")
            return
        self.words.pop(0)
        self.options = replace(self.options, least=round(least, 2))
        self.asked = True

    def _note(self, word: str, nearest: str) -> None:
        """Note an option without a value that can be used; it is a word like others in the middle of a sentence."""
        rest = list(takewhile(lambda each: each not in _SEPARATORS and each not in _KEYWORDS, self.words[:4]))
        value = [each for each in rest if each not in _FILLERS]
        alone = len(value) < 2 and not self.odd
        if alone:
            del self.words[: len(rest)]
        text = " ".join([word, *value] if alone else [word])
        self.odd.append(Unknown(text[:_NAME_LENGTH], nearest if alone else ""))


def _label(name: str) -> str:
    """Return the label for a name in the sender's language; workers of the release before know English ones only."""
    meant = names.meaning(name)
    return name if current() == ENGLISH or meant.slip or meant.people else meant.label or name


def _nearest(word: str) -> str:
    return next(iter(get_close_matches(word, _SUGGESTED, 1, _CLOSE)), "")
