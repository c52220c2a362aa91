"""Say how long a photo will wait, and for what."""

from botsite.bot.words.language import gettext, ngettext
from detection.sentences import noop

_PLACES = {
    1: noop("You're next."), 2: noop("You're second in line."), 3: noop("You're third in line."),
    4: noop("You're fourth in line."), 5: noop("You're fifth in line."),
}  # fmt: skip
_MINUTE = 60
# "About 20 seconds", not "about 17".
_STEP = 10


def in_line(place: int | None, seconds: float | None, *, starting: bool) -> str:
    """Return "You're third in line. A machine is starting: about 2 minutes."

    `place` is None for one far back, `seconds` if nobody knows.
    """
    if place is None:
        text = gettext("Many photos came before yours.")
    elif place in _PLACES:
        text = gettext(_PLACES[place])
    else:
        text = gettext("You're number {place} in line.").format(place=place)
    if seconds is None:
        return text
    form = gettext("{place} A machine is starting: {time}.") if starting else gettext("{place} It'll take {time}.")
    return form.format(place=text, time=about(seconds))


def looking(*, album: bool = False) -> str:
    """Return what is said while the model has the photo, or the first of an album."""
    return gettext("I'm looking at your photos...") if album else gettext("I'm looking at your photo...")


def about(seconds: float) -> str:
    """Return "a few seconds", "about 20 seconds", "about 3 minutes"."""
    if seconds < _STEP:
        return gettext("a few seconds")
    if seconds < 1.5 * _MINUTE:
        number = -(-round(seconds) // _STEP) * _STEP
        return ngettext("about {number} second", "about {number} seconds", number).format(number=number)
    number = round(seconds / _MINUTE)
    return ngettext("about {number} minute", "about {number} minutes", number).format(number=number)
