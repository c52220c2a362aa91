"""Choose which of the model's candidates are shown, by what the sender of the photo asks for."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches

from botsite.bot import classes
from detection.schemas import LEAST, Detection, Options, Unknown


def choose(candidates: Sequence[Detection], options: Options) -> list[Detection]:
    """Return what is shown: of the classes asked for, as sure as asked for."""
    least = LEAST if options.least is None else options.least
    wanted = options.only
    return [box for box in candidates if box.confidence >= least and (not wanted or box.label in wanted)]


def resolve(options: Options, labels: Collection[str]) -> Options:
    """Return the options with the model's own labels for the names asked for: "people" is person.

    A name that isn't one is told to the sender, with the nearest. If none is, everything is shown.
    """
    if not options.only:
        return options
    names = {
        name.lower(): label for label in labels for name in (label, classes.singular(label), classes.plural(label))
    }
    wanted, unknown = [], list(options.unknown)
    for phrase in options.only:
        for name in [phrase] if phrase in names else phrase.split():
            if name in names:
                wanted.append(names[name])
            else:
                unknown.append(Unknown(name, next(iter(get_close_matches(name, names, 1)), "")))
    return replace(options, only=tuple(dict.fromkeys(wanted)), unknown=tuple(unknown))
