"""Read a question about what is in a photo: "how many people?", "is there a dog?", "where is the cup?".

Only what boxes can answer is one; everything else in a caption stays as it is. What questions begin with stands in
each language's `names.txt`, and names are what /what knows.
"""

import re
from collections.abc import Sequence

from botsite import language
from botsite.language import ENGLISH, current, names
from detection.record.schemas import Question

# Words, folded, and what they are for.
Phrases = Sequence[tuple[str, str]]
_REST = "rest"
_END = re.compile(r"[?؟]")
# The bot's name and a command, by which it is called.
_CALL = re.compile(r"(?:[@/]\S+\s+)+")
_AROUND = "¿¡(\"'“„«,.!…)”»"
# No question that is meant for boxes is longer.
_LENGTH = 120


def read(text: str) -> tuple[Question, Sequence[str], str]:
    """Return what a text asks, the names in it, and what stands behind it; no question, no names and the text if none.

    "Is there" begins statements, too, in some languages: it asks with a question mark only.
    """
    asked, mark, behind = _ask(text)
    words = [word.strip(_AROUND) for word in asked.split()]
    for code in dict.fromkeys((current(), ENGLISH)) if len(asked) <= _LENGTH else ():
        phrases = names.questions(code)
        kind, rest = _begins(words, phrases)
        if kind and kind != _REST and (mark or kind != Question.ANY):
            named = " ".join(_without_rest(rest, phrases))
            return (Question(kind), [named], behind) if named else (Question.NONE, (), text)
    return Question.NONE, (), text


def _ask(text: str) -> tuple[str, bool, str]:
    """Return the first question of a text, whether it has a mark, and what stands behind it."""
    text = _CALL.sub("", text, count=1) if text[:1] in ("@", "/") else text
    end = _END.search(text)
    return (text[: end.start()], True, text[end.end() :]) if end else (text, False, "")


def _begins(words: Sequence[str], phrases: Phrases) -> tuple[str, Sequence[str]]:
    """Return the kind of the longest phrase that the words begin with, and the words after it."""
    for phrase, kind in phrases:
        length = len(phrase.split())
        if kind != _REST and language.fold(" ".join(words[:length])) == phrase:
            return kind, words[length:]
    return "", words


def _without_rest(words: Sequence[str], phrases: Phrases) -> list[str]:
    kept, start = list[str](), 0
    rest = [phrase for phrase, kind in phrases if kind == _REST]
    while start < len(words):
        left = language.fold(" ".join(words[start:])) + " "
        phrase = next((each for each in rest if left.startswith(f"{each} ")), "")
        kept += [] if phrase else [words[start]]
        start += len(phrase.split()) or 1
    return kept
