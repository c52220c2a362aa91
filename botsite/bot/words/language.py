"""Say the bot's sentences in a person's language: gettext catalogues in `locale/`, and English where they lack one.

The English sentence is its own key, so English needs no catalogue. `locale/README.md` says how to add a language.
"""

import gettext as catalogues
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
