"""Say the bot's sentences in a person's language: gettext catalogues in `locale/`, and English where they lack one.

The English sentence is its own key, so English needs no catalogue. `locale/README.md` says how to add a language.
"""

import gettext as catalogues
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
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
# Letters that stand behind another in the alphabet, and are no accents of it.
_BEHIND = str.maketrans({"ñ": "n\uffff", "й": "и\uffff"})
# Letters of Arabic that people write for each other.
_SAME_LETTERS = str.maketrans("ةى", "هي")


def called(label: str, number: int = 1) -> str:
    """Return what so many objects with this label are called in the current language, without the number."""
    name = ngettext(singular(label), plural(label), number)
    return isolated(name) if name.isascii() else name


def in_picture(label: str) -> str:
    """Return what an object with this label is called in a picture, whose font has Latin and Cyrillic letters."""
    return label if current() == ENGLISH or current() in _RIGHT_TO_LEFT else called(label)


def several(label: str) -> str:
    """Return what such objects are called in general in the current language: "dogs"."""
    name = gettext(f"all {plural(label)}")
    return plural(label) if name == f"all {plural(label)}" else name


def fold(name: str) -> str:
    """Return a name without what people leave out when they type: case, accents, and dots of Arabic letters."""
    if name.isascii():
        return name.lower()
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in letters if not unicodedata.combining(each)).translate(_SAME_LETTERS)


def order(name: str) -> str:
    """Return what a name is sorted by: accents make no difference, but a letter of its own does."""
    return fold(unicodedata.normalize("NFC", name).lower().translate(_BEHIND))


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
