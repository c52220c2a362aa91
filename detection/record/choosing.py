"""Choose which of the model's candidates to show, by what the photo's sender asks for."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from botsite import language
from botsite.language import names
from detection.record.schemas import LEAST, Detection, Options, Question, Unknown

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

    A name that isn't one, or that is misspelled or says more than the model can tell, is told to the sender, with the
    nearest in the language with that code. If none is one, everything is shown, and so it is if a question names what
    boxes can't answer.
    """
    if not options.only:
        return options
    with language.speaking(code):
        found = [meaning for phrase in options.only for meaning in names.read(phrase, labels)]
        if options.question and not all(each.label for each in found):
            return replace(options, only=(), question=Question.NONE)
        told = [
            Unknown(each.word, language.called(each.near or each.label) if each.near or each.label else "")
            for each in found
            if each.slip or each.people or not each.label
        ]
    wanted = dict.fromkeys(each.label for each in found if each.label)
    return replace(options, only=tuple(wanted), unknown=(*options.unknown, *told)[:UNKNOWN_AT_MOST])
