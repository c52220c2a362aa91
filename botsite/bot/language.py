"""Say the bot's sentences in a person's language: gettext catalogues in `locale/`, and English where they lack one.

The English sentence is its own key, so English needs no catalogue. `locale/README.md` says how to add a language.
"""

import gettext as catalogues
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import takewhile
from pathlib import Path

LOCALES = Path(__file__).with_name("locale")
_ENGLISH = catalogues.NullTranslations()
# Of the task or thread at hand: a site answers people of several languages at once.
_current: ContextVar[catalogues.NullTranslations] = ContextVar("catalogue", default=_ENGLISH)


def available() -> dict[str, str]:
    """Return the codes of the languages that people can choose from, with what each calls itself."""
    return {"en": "English"}


@contextmanager
def speaking(*languages: str, locales: Path = LOCALES) -> Iterator[None]:
    """Within the block, use the first of these languages ("de", "pt-br") that has a catalogue, else English."""
    wanted = [code.replace("-", "_") for code in takewhile(lambda code: not code.startswith("en"), languages)]
    before = _current.set(catalogues.translation("bot", locales, wanted, fallback=True))
    try:
        yield
    finally:
        _current.reset(before)


def gettext(message: str) -> str:
    """Return a sentence in the current language."""
    # The empty text is the key of a catalogue's header.
    return _current.get().gettext(message) if message else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form for that number in the current language."""
    return _current.get().ngettext(singular, plural, number)
