"""Tell what people mean by a word: a class by its name or another word for it, one that is misspelled, or nothing.

The person's language comes first, English only if that finds nothing. The other words stand in
`locale/<code>/names.txt` (see its README.md). /what, captions and questions ask here, so that they agree.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, lru_cache

from botsite import language
from botsite.language import ENGLISH, LOCALES, ngettext

PERSON = "person"
JOINED = frozenset({"and", "or", "und", "oder", "y", "e", "o", "u", "и", "или", "و", "أو", "&"})
# Short words may end in what is no plural, and are near to too many others.
_STEM, _LONG, _SHORT = 3, 5, 4
_NEAR = 0.8
_WORDS_OF_NAME = 5
_TOKEN = re.compile(r"[^\s,;،؛]+|[,;،؛]")
_AROUND = "¿¡(\"'“„«.!?…؟)”»"
# The article of Arabic is written with its noun.
_AL = "ال"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word means: a label, "" if nothing. `slip`: it is misspelled, but there is no doubt.

    `near` is a label that may be meant. `people`: the word says more than the model can tell.
    """

    word: str
    label: str = ""
    slip: bool = False
    near: str = ""
    people: bool = False


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a language, folded, with their labels, and the same by their stems.

    `people` are those that say more than the model can tell, `other` mean something else, however near they are.
    """

    exact: Mapping[str, str]
    stems: Mapping[str, str]
    endings: Sequence[str]
    people: Collection[str]
    other: Collection[str]


def read(text: str, labels: Collection[str] = tuple(language.NAMED)) -> list[Meaning]:
    """Return what each name in a text means, in the current language; words in a row that mean nothing are one."""
    found: list[Meaning] = []
    for segment in _segments(text):
        start, after_unknown = 0, False
        while start < len(segment):
            end, meaning = _first(segment[start:], labels)
            unknown = not (meaning.label or meaning.near)
            if unknown and after_unknown:
                found[-1] = replace(found[-1], word=f"{found[-1].word} {meaning.word}")
            else:
                found.append(meaning)
            start, after_unknown = start + end, unknown
    return found


def meaning(word: str, labels: Collection[str] = tuple(language.NAMED)) -> Meaning:
    """Return what one name means."""
    if found := _known(word, labels):
        return found
    key, tables = _key(word), _tables(labels)
    if any(_in(key, table.other, table) for table in tables):
        return Meaning(word)
    return next((near for table in tables if (near := _nearest(word, key, table))), Meaning(word))


def points(text: str) -> bool:
    """Return whether a text only points at something: "is this?"."""
    return any(_key(text.strip(_AROUND)) in _lines(code).get("this", []) for code in (language.current(), ENGLISH))


def _known(word: str, labels: Collection[str]) -> Meaning | None:
    """Return what a name means that is spelled right."""
    key = _key(word)
    for table in _tables(labels):
        if label := _label(key, table):
            return Meaning(word, label, people=label == PERSON and _in(key, table.people, table))
    return None


def _key(word: str) -> str:
    return " ".join(language.fold(word).split())


def _tables(labels: Collection[str]) -> list[_Words]:
    return [_words(tuple(labels), code) for code in dict.fromkeys((language.current(), ENGLISH))]


def _segments(text: str) -> Iterator[list[str]]:
    """Yield the words between commas and an "and", without articles."""
    segment: list[str] = []
    for token in _TOKEN.findall(text):
        word = token.strip(_AROUND)
        if not word.strip(",;،؛") or language.fold(word) in JOINED:
            yield segment
            segment = []
        elif word and language.fold(word) not in language.ARTICLES:
            segment.append(word)
    yield segment


def _first(words: Sequence[str], labels: Collection[str]) -> tuple[int, Meaning]:
    """Return what the first words mean, the longest name that is known, and how many they are."""
    spans = [" ".join(words[:end]) for end in range(1, min(len(words), _WORDS_OF_NAME) + 1)]
    for end, span in reversed([*enumerate(spans, 1)]):
        if found := _known(span, labels):
            return end, found
    whole = meaning(spans[-1], labels)
    return (len(spans), whole) if whole.label else (1, meaning(words[0], labels))


def _label(key: str, table: _Words) -> str:
    spelled = (key, key.removeprefix(_AL)) if len(key) > len(_AL) + 1 else (key,)
    for each in spelled:
        if each in table.exact:
            return table.exact[each]
    if key in table.other:
        return ""
    return next(
        (table.stems[stem] for each in spelled for stem in _stems(each, table.endings) if stem in table.stems), ""
    )


def _in(key: str, words: Collection[str], table: _Words) -> bool:
    stems = {*_stems(key, table.endings), *_stems(key.removeprefix(_AL), table.endings)}
    return not stems.isdisjoint(words)


def _stems(word: str, endings: Sequence[str]) -> list[str]:
    """Return a word, and what is left of it without an ending."""
    return [word, *(word[: -len(end)] for end in endings if word.endswith(end) and len(word) - len(end) >= _STEM)]


def _nearest(word: str, key: str, table: _Words) -> Meaning | None:
    """Return a class whose name begins with a word, or is spelled nearly like it; none where several are."""
    alike = get_close_matches(key, [*table.exact, *table.other], 5, _NEAR)
    if len(key) < _SHORT or (alike and alike[0] in table.other):
        return None
    slips = {label for name, label in table.exact.items() if _is_slip(key, name)}
    if len(slips) == 1:
        (label,) = slips
        return Meaning(word, label, slip=True, near=label)
    begun = {label for name, label in table.exact.items() if name.startswith(key)}
    near = begun or slips or {table.exact[name] for name in alike if name in table.exact and name[0] == key[0]}
    return Meaning(word, near=near.pop()) if len(near) == 1 else None


def _is_slip(word: str, name: str) -> bool:
    """Return whether a letter is missing, too many or another, or two have changed places; never the first."""
    if abs(len(word) - len(name)) > 1 or word[0] != name[0]:
        return False
    start = next(
        (at for at, (one, other) in enumerate(zip(word, name, strict=False)) if one != other), min(len(word), len(name))
    )
    one, other = word[start:], name[start:]
    if one[:2] == other[1::-1] and one[2:] == other[2:]:
        return True
    rests = {(one[1:], other), (one, other[1:]), (one[1:], other[1:])}
    return min(len(word), len(name)) >= _LONG and any(left == right for left, right in rests)


@lru_cache(maxsize=32)
def _words(labels: tuple[str, ...], code: str) -> _Words:
    """Return the words of a language, which is English or the current one."""
    lines = _lines(code)
    endings = lines.get("endings", [])
    exact: dict[str, str] = {}
    for label in labels:
        for name in (*_forms(label, code), *lines.get(label, [])):
            exact.setdefault(language.fold(name), label)
    people = lines.get("people", []) if PERSON in labels else []
    for name in people:
        exact.setdefault(name, PERSON)
    stems: dict[str, str] = {}
    for name, label in exact.items():
        for stem in _stems(name, endings):
            stems.setdefault(stem, label)
    return _Words(exact, stems, endings, frozenset(people), frozenset(lines.get("other", [])))


def _forms(label: str, code: str) -> list[str]:
    """Return a class's own name in a language, in all its forms."""
    one, several = language.singular(label), language.plural(label)
    if code != language.current():
        return [label, one, several]
    # One number for each form of the languages' plurals.
    forms = [ngettext(one, several, number) for number in (1, 2, 3, 11, 100)]
    article, _, bare = language.gettext(language.one(label)).partition(" ")
    return [*forms, language.several(label), *([bare] if article in language.ARTICLES else []), label]


def options(code: str) -> dict[str, str]:
    """Return a language's folded words for what a caption can ask for, each with the English one."""
    return dict(_words_for("option ", code))


def questions(code: str) -> Sequence[tuple[str, str]]:
    """Return what questions begin with in a language, folded, each with its kind; "rest" is what they may go on with.

    The longest come first. Some are both.
    """
    return _words_for("question ", code)


@cache
def _words_for(kind: str, code: str) -> Sequence[tuple[str, str]]:
    lines = ((key.removeprefix(kind), words) for key, words in _lines(code).items() if key.startswith(kind))
    pairs = [(word, meant) for meant, words in lines for word in words]
    return sorted(pairs, key=lambda pair: -len(pair[0].split()))


@cache
def _lines(code: str) -> dict[str, list[str]]:
    """Return the lines of a language's `names.txt`, "label: word, word", with its words folded."""
    file = LOCALES / code / "names.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    parts = (line.partition(": ") for line in lines if not line.startswith("#"))
    return {key: [language.fold(word) for word in words.split(", ")] for key, _, words in parts}
