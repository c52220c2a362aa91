"""Say the bot's sentences in a person's language: gettext catalogues in `locale/`, and English where they lack one.

The English sentence is its own key, so English needs no catalogue. `locale/README.md` says how to add a language.
"""

import gettext as catalogues
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path

from django.conf import settings

LOCALES = Path(__file__).with_name("locale")
ENGLISH = "en"
# What each language calls itself.
NAMES = {ENGLISH: "English", "es": "Español", "ru": "Русский", "de": "Deutsch", "ar": "العربية"}
_RIGHT_TO_LEFT = frozenset({"ar"})
# FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE: what stands between them has a direction of its own.
_ISOLATE, _END = "\u2068", "\u2069"
# Of the task or thread at hand: a site answers people of several languages at once.
_current: ContextVar[str] = ContextVar("language", default=ENGLISH)


def available() -> dict[str, str]:
    """Return the codes of the languages that people can choose from, with what each calls itself."""
    return {code: NAMES[code] for code in settings.BOT_LANGUAGES or NAMES}


def choose(*wanted: str | None, offered: Collection[str] = ()) -> str:
    """Return the first of these languages ("de", "pt-br") that is offered, by default by BOT_LANGUAGES.

    If none is: English, or the first of those offered where English is not.
    """
    offered = offered or available()
    codes = ((code or "").lower().replace("_", "-").partition("-")[0] for code in wanted)
    return next((code for code in codes if code in offered), ENGLISH if ENGLISH in offered else next(iter(offered)))


@contextmanager
def speaking(*wanted: str | None, offered: Collection[str] = ()) -> Iterator[None]:
    """Within the block, and in the tasks and threads that it starts, say everything in the language chosen of these."""
    before = _current.set(choose(*wanted, offered=offered))
    try:
        yield
    finally:
        _current.reset(before)


def current() -> str:
    """Return the code of the language that is spoken here."""
    return _current.get()


def gettext(message: str) -> str:
    """Return a sentence in the current language."""
    # The empty text is the key of a catalogue's header.
    return _catalogue(_current.get(), LOCALES).gettext(message) if message else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form for that number in the current language."""
    return _catalogue(_current.get(), LOCALES).ngettext(singular, plural, number)


def isolated(text: str) -> str:
    """Return a text of some other language so that it doesn't mix up the order of a sentence from right to left."""
    return f"{_ISOLATE}{text}{_END}" if _current.get() in _RIGHT_TO_LEFT else text


@cache
def _catalogue(code: str, locales: Path) -> catalogues.NullTranslations:
    return catalogues.translation("bot", locales, [code], fallback=code == ENGLISH)


PLURALS = {
    "person": "people", "bicycle": "bicycles", "car": "cars", "motorcycle": "motorcycles", "airplane": "airplanes",
    "bus": "buses", "train": "trains", "truck": "trucks", "boat": "boats", "traffic light": "traffic lights",
    "fire hydrant": "fire hydrants", "stop sign": "stop signs", "parking meter": "parking meters", "bench": "benches",
    "bird": "birds", "cat": "cats", "dog": "dogs", "horse": "horses", "sheep": "sheep", "cow": "cows",
    "elephant": "elephants", "bear": "bears", "zebra": "zebras", "giraffe": "giraffes", "backpack": "backpacks",
    "umbrella": "umbrellas", "handbag": "handbags", "tie": "ties", "suitcase": "suitcases", "frisbee": "frisbees",
    "skis": "pairs of skis", "snowboard": "snowboards", "sports ball": "sports balls", "kite": "kites",
    "baseball bat": "baseball bats", "baseball glove": "baseball gloves", "skateboard": "skateboards",
    "surfboard": "surfboards", "tennis racket": "tennis rackets", "bottle": "bottles", "wine glass": "wine glasses",
    "cup": "cups", "fork": "forks", "knife": "knives", "spoon": "spoons", "bowl": "bowls", "banana": "bananas",
    "apple": "apples", "sandwich": "sandwiches", "orange": "oranges", "broccoli": "broccoli", "carrot": "carrots",
    "hot dog": "hot dogs", "pizza": "pizzas", "donut": "donuts", "cake": "cakes", "chair": "chairs",
    "couch": "couches", "potted plant": "potted plants", "bed": "beds", "dining table": "dining tables",
    "toilet": "toilets", "tv": "TVs", "laptop": "laptops", "mouse": "mice", "remote": "remotes",
    "keyboard": "keyboards", "cell phone": "cell phones", "microwave": "microwaves", "oven": "ovens",
    "toaster": "toasters", "sink": "sinks", "refrigerator": "refrigerators", "book": "books", "clock": "clocks",
    "vase": "vases", "scissors": "pairs of scissors", "teddy bear": "teddy bears", "hair drier": "hair driers",
    "toothbrush": "toothbrushes",
}  # fmt: skip
# What the model that comes with the project knows.
SHAPES = {"circle": "circles", "square": "squares", "triangle": "triangles"}
NAMED = PLURALS | SHAPES
# Those that are not called by their label when there is one.
SINGULARS = {"skis": "pair of skis", "scissors": "pair of scissors", "tv": "TV"}
# Those that are not called "a ..." when there is one.
_UNCOUNTED = {"broccoli": "some broccoli"}
ARTICLES = frozenset(
    {"a", "an", "the", "some", "der", "die", "das", "den", "ein", "eine", "einen", "el", "la", "los", "las"}
    | {"un", "una", "unos", "unas"}
)
# What people call them, too, in no form that a catalogue has: Russian counts with other cases than its plural's.
_ALSO = {
    "en": {"person": "humans"},
    "de": {"person": "Leute Mensch Menschen", "skis": "Ski Skier", "sports ball": "Bälle", "mouse": "Maus Mäuse"},
    "es": {"person": "gente", "skis": "esquís esquíes", "sports ball": "pelotas", "mouse": "ratón ratones"},
    "ru": {
        "person": "люди", "bicycle": "велосипеды", "car": "автомобили машина машины", "motorcycle": "мотоциклы",
        "airplane": "самолёты", "bus": "автобусы", "train": "поезда", "truck": "грузовики",
        "traffic light": "светофоры", "cat": "кот коты", "dog": "пёс", "horse": "кони", "elephant": "слоны",
        "bear": "медведи", "giraffe": "жирафы", "backpack": "рюкзаки", "umbrella": "зонты", "tie": "галстуки",
        "suitcase": "чемоданы", "skis": "лыжи", "snowboard": "сноуборды", "sports ball": "мячи",
        "wine glass": "бокалы", "knife": "ножи", "banana": "бананы", "sandwich": "бутерброды", "orange": "апельсины",
        "donut": "пончики", "cake": "торты", "chair": "стулья", "couch": "диваны", "tv": "телевизоры",
        "laptop": "ноутбуки", "mouse": "мышь мыши", "remote": "пульты", "cell phone": "телефоны",
        "toaster": "тостеры", "refrigerator": "холодильники", "clock": "часы", "scissors": "ножницы",
        "hair drier": "фены", "circle": "круги", "square": "квадраты", "triangle": "треугольники",
    },
    "ar": {"person": "ناس", "skis": "زلاجات", "sports ball": "كرات", "mouse": "فأرة"},
}  # fmt: skip
# Letters of Arabic that people write for each other.
_SAME_LETTERS = str.maketrans("ةى", "هي")


def called(label: str, number: int = 1) -> str:
    """Return what so many objects with this label are called in the current language, without the number."""
    name = ngettext(singular(label), plural(label), number)
    return isolated(name) if name.isascii() else name


def called_one(label: str) -> str:
    """Return what one object with this label is called in a sentence in the current language: "ein Hund"."""
    name = gettext(one(label))
    # A class that the catalogue lacks has no article: "a" would be English.
    return called(label) if name == one(label) and current() != ENGLISH else name


def names(labels: Collection[str] = tuple(NAMED)) -> dict[str, str]:
    """Return the labels by all that people call them in English and in the current language, folded."""
    return _names(tuple(labels), current())


def fold(name: str) -> str:
    """Return a name without what people leave out when they type: case, accents, and dots of Arabic letters."""
    if name.isascii():
        return name.lower()
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in letters if not unicodedata.combining(each)).translate(_SAME_LETTERS)


@lru_cache(maxsize=32)
def _names(labels: tuple[str, ...], code: str) -> dict[str, str]:
    """Return the table for the language with that code, which is the current one."""
    found: dict[str, str] = {}
    also = _ALSO.get(code, {})
    for label in labels:
        one_of_it, several = singular(label), plural(label)
        # One number for each form of the languages' plurals.
        forms = [ngettext(one_of_it, several, number) for number in (1, 2, 3, 11, 100)]
        article, _, bare = gettext(one(label)).partition(" ")
        forms += [bare] if article in ARTICLES else []
        for name in (label, one_of_it, several, *forms, *also.get(label, "").split()):
            found.setdefault(fold(name), label)
    return found


def singular(label: str) -> str:
    """Return what one object with this label is called."""
    return SINGULARS.get(label, label)


def one(label: str) -> str:
    """Return what one object with this label is called in a sentence: "a dog", "an apple"."""
    name = singular(label)
    return _UNCOUNTED.get(label, f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}")


def plural(label: str) -> str:
    """Return what several objects with this label are called; a label of another model gets a regular plural."""
    if label in NAMED:
        return NAMED[label]
    if label.endswith(("s", "x", "z", "ch", "sh")):
        return f"{label}es"
    if label.endswith("y") and label[-2:-1] not in "aeiou":
        return f"{label[:-1]}ies"
    return f"{label}s"
