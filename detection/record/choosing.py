"""Choose which of the model's candidates to show, by what the photo's sender asks for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from botsite import language
from detection.record.schemas import LEAST, Detection, Options, Unknown

# So many words of a caption are told to be no names, or no options.
UNKNOWN_AT_MOST = 5


def choose(candidates: Sequence[Detection], options: Options) -> list[Detection]:
    """Return the candidates of the wanted classes with at least the wanted confidence."""
    least = LEAST if options.least is None else options.least
    wanted = options.only
    return [box for box in candidates if box.confidence >= least and (not wanted or box.label in wanted)]


def by_default(options: Options, confidence: float) -> Options:
    """Return the options with a model's own default confidence, if nothing else is asked for and it has another."""
    return replace(options, least=confidence) if options.least is None and confidence != LEAST else options


def resolve(options: Options, labels: Collection[str], code: str | None = None) -> Options:
    """Return the options with the model's own labels for the names asked for: "people" is person.

    A name that isn't one is told to the sender, with the nearest in the language with that code. If none is, everything
    is shown.
    """
    if not options.only:
        return options
    with language.speaking(code):
        return _resolved(options, language.names(labels))


def _resolved(options: Options, names: Mapping[str, str]) -> Options:
    wanted, unknown = list[str](), list(options.unknown)
    for phrase in options.only:
        words = [phrase] if language.fold(phrase) in names else phrase.split()
        known = [names[language.fold(word)] for word in words if language.fold(word) in names]
        odd = [word for word in words if language.fold(word) not in names] if known else [phrase]
        wanted += known
        unknown += [Unknown(word, _nearest(word, names)) for word in odd[: max(UNKNOWN_AT_MOST - len(unknown), 0)]]
    return replace(options, only=tuple(dict.fromkeys(wanted)), unknown=tuple(unknown))


def _nearest(word: str, names: Mapping[str, str]) -> str:
    """Return the nearest class's name in the current language, "" if none is near."""
    return next((language.called(names[name]) for name in get_close_matches(language.fold(word), names, 1)), "")
