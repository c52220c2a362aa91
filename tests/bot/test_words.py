"""Everyday words in five languages mean what people mean by them, to /what and to captions alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from botsite import language
from botsite.bot.people import knows
from botsite.bot.words import captions, replies
from botsite.language import names
from detection.record.choosing import resolve
from detection.record.schemas import Options, Question, Unknown

LABELS = tuple(language.PLURALS)
TABLE = Path(__file__).parents[1] / "fixtures" / "everyday_words.txt"


def table() -> Iterator[tuple[str, str, str]]:
    """Yield each word with its language and what it means."""
    for line in TABLE.read_text().splitlines():
        if not line.startswith("#"):
            code, _, entries = line.partition(": ")
            for entry in entries.split(", "):
                word, _, meant = entry.partition("=")
                yield code, word, meant


def shown(caption: str, code: str) -> Options:
    with language.speaking(code):
        return resolve(captions.read(caption), LABELS, code)


def test_table_has_enough_words_of_each_language() -> None:
    words = [code for code, _, _ in table()]
    assert len(words) >= 135
    assert all(words.count(code) >= 27 for code in language.NAMES)


@pytest.mark.parametrize(("code", "word", "meant"), list(table()))
def test_what_and_captions_agree_on_everyday_words(code: str, word: str, meant: str) -> None:
    label, people = meant.removesuffix("*").strip("-"), meant.endswith("*")
    options = shown(f"only {word}", code)
    with language.speaking(code):
        said = knows.search(word, LABELS)
        notes = replies.not_understood(options)
        assert (language.several(label) in said) if label else ("«" in said or "“" in said)
        assert (language.gettext(replies.PEOPLE) in said, language.gettext(replies.PEOPLE) in notes) == (people, people)
    assert options.only == ((label,) if label else ())
    with language.speaking(code):
        nearest = [language.called("person")] if people else [] if label else [""]
    assert [each.nearest for each in options.unknown] == nearest


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        ("en", "a dog", "Yes: dogs."),
        ("en", "dog cat", "Yes: dogs, cats."),
        ("en", "dogs, cats and the unicorns", "Yes: dogs, cats.\nI don't know “unicorns”."),
        ("en", "car", "Yes: cars."),
        ("en", "refrigeratr", "Yes: refrigerators."),
        ("en", "eleph", "I don't know “eleph”. Closest: elephants."),
        ("en", "women and men", f"Yes: people.\n{replies.PEOPLE}"),
        ("en", "is this?", replies.HOW_TO_ASK),
        ("en", "hot dog", "Yes: hot dogs."),
        ("es", "carro", "Sí: coches."),
        ("es", "dogs", "Sí: perros."),
        ("de", "der Hund", "Ja: Hunde."),
        ("ru", "машины и собаки", "Да: автомобили, собаки."),
        ("ar", "الكلب", "نعم: كلاب."),
    ],
)
def test_what_understands_articles_plurals_and_lists(code: str, text: str, said: str) -> None:
    with language.speaking(code):
        assert knows.search(text, LABELS) == said


@pytest.mark.parametrize(
    ("caption", "only", "unknown"),
    [
        ("only persn", ("person",), (Unknown("persn", "person"),)),
        ("only elephnat", ("elephant",), (Unknown("elephnat", "elephant"),)),
        ("only umbrela, dogs", ("umbrella", "dog"), (Unknown("umbrela", "umbrella"),)),
        ("only refridgeratr", (), (Unknown("refridgeratr", "refrigerator"),)),
        ("only hous", (), (Unknown("hous", ""),)),
    ],
)
def test_typo_without_doubt_is_acted_on(caption: str, only: tuple[str, ...], unknown: tuple[Unknown, ...]) -> None:
    assert shown(caption, "en") == Options(only=only, unknown=unknown)


def test_typo_is_told() -> None:
    told = replies.not_understood(shown("only persn, elefant, squid", "en"))
    assert told.splitlines() == [
        "I took “persn” to mean “person”.",
        "I don't know “elefant”. Did you mean “elephant”?",
        "I don't know “squid”. /help tells you what a caption can ask for.",
    ]


@pytest.mark.parametrize("code", language.NAMES)
def test_words_are_those_of_one_class_that_is_known(code: str) -> None:
    lines = names._lines(code)
    asked = {f"option {option}" for option in names.options(code).values()}
    assert {option.removeprefix("option ") for option in asked} <= captions._KEYWORDS
    questions = {f"question {kind}" for kind in (*Question, "rest") if kind}
    assert questions == {key for key in lines if key.startswith("question ")}
    assert set(lines) - {"endings", "this", "people", "other"} - asked - questions <= set(language.NAMED)
    assert all(words and all(words) for words in lines.values())
    kept = [(word, key) for key, words in lines.items() if key not in {"endings", "this", *questions} for word in words]
    assert sorted({word for word, _ in kept if len({key for each, key in kept if each == word}) > 1}) == []
