"""The words of the bot. Plain text: labels and names need no escaping.

The constants are English, the keys of the catalogues; the functions return what is sent, in the current language.
"""

import re
from collections.abc import Sequence

from django.conf import settings

from botsite.bot import classes
from botsite.bot.language import gettext, ngettext
from detection import sentences
from detection.schemas import Unknown
from detection.sentences import noop

COMMANDS = ("start", "help", "privacy")
# As a reply to a photo, they ask what is in it.
ASKING = ("what", "whatisthis", "what_is_this")

START = noop(
    "Hi! Send me a photo and I'll send it back with the objects in it boxed and counted.\n\n"
    "A photo sent as a file keeps its full resolution. Albums work too: their photos come back together.\n\n"
    "/help tells you more, /privacy what I keep."
)
HELP = noop(
    "Send me a photo, or an image as a file (JPEG, PNG, WebP, HEIC, up to 20 MB).\n"
    "You get it back with a box around each object I recognise, and the counts.\n\n"
    "In its caption you can ask for: only person, car; conf 0.4; labels off; blur (people); json.\n"
    "Reply “what is this?” to a photo that is in our chat already, and I look at that one.\n\n"
    "In a group I only look at what is meant for me: mention me in a photo's caption, reply to a message of mine with "
    "a photo, or reply to somebody's photo and mention me or send /what. With privacy mode, which bots usually have, "
    "Telegram doesn't even show me anything else. In a chat without me, reply to a photo and mention me: if I can be "
    "called as a guest, I answer there once.\n\n"
    "If it takes a while, I may be starting a machine for you: I sleep while nobody sends photos."
)
UNKNOWN_COMMAND = noop("I don't know that command. Send me a photo, or /help.")
NO_PHOTO = {
    "text": noop("Send me a photo and I'll tell you what's in it. /help tells you more."),
    "video": noop("I can only look at still photos. Send me a frame of the video as a photo."),
    "paid media": noop("I can't see paid media. Send me a photo instead."),
    "dice": noop("I don't play games, I look at photos. Send me one."),
    "sticker": noop("Nice sticker, but I only look at photos."),
}
HOW_TO_CALL = noop("Reply to a photo and mention me, and I'll tell you what's in it.")
HOW_TO_ASK = noop("Reply to a photo with /what, and I'll tell you what's in it.")
OWN_PHOTO = noop(
    "That's one of my own pictures. The buttons under it show it in other ways; to have me look at a photo, "
    "reply to the photo itself."
)
OTHER = noop("I can't do anything with that: I only look at photos. Send me one.")
TOO_LARGE = sentences.TOO_LARGE
TOO_LARGE_FOR_BOTS = sentences.TOO_LARGE_FOR_BOTS
UNAVAILABLE = sentences.UNAVAILABLE
GAVE_UP = sentences.GIVEN_UP
PAUSED = noop("I'm taking a break at the moment. Your photo is kept, and I'll answer it as soon as I'm back.")
NOTHING_FOUND = noop("I didn't recognise anything in this photo.")
NOTHING_IN_CLIP = noop("I didn't recognise anything in this clip.")

# Sentences that items hold with their values in place.
_WITH_VALUES = [
    (sentence, re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(sentence))))
    for sentence in (sentences.TOO_MANY_PIXELS, TOO_LARGE)
]


def command(name: str) -> str:
    """Return the answer to a command."""
    match name:
        case "start":
            return gettext(START)
        case "help":
            return gettext(HELP)
        case "privacy":
            return privacy(settings.PREDICTIONS_KEPT_DAYS)
    if name in ASKING:
        return gettext(HOW_TO_ASK)
    return gettext(UNKNOWN_COMMAND)


def privacy(days: int) -> str:
    """Return what is kept of a photo, and for how many days."""
    kept = ngettext(
        "Your photo, its boxed copy and the objects found are kept for {days} day, then deleted. "
        "Only the operator of this bot can see them, and they are used only to answer you.",
        "Your photo, its boxed copy and the objects found are kept for {days} days, then deleted. "
        "Only the operator of this bot can see them, and they are used only to answer you.",
        days,
    )
    return kept.format(days=days)


def no_photo(kind: str) -> str:
    """Return the answer to a message that holds no photo, by its kind."""
    return gettext(NO_PHOTO.get(kind, OTHER))


def how_to_call() -> str:
    """Return the answer to a guest's call that is about no photo."""
    return gettext(HOW_TO_CALL)


def own_photo() -> str:
    """Return the answer to a question about a picture that the bot has sent."""
    return gettext(OWN_PHOTO)


def too_large(file_bytes: int) -> str:
    """Return, in English, why a file cannot be fetched; the item stores it."""
    return TOO_LARGE.format(megabytes=f"{file_bytes / 1024**2:.0f}")


def gave_up() -> str:
    """Return the apology for what can be neither answered nor read."""
    return gettext(GAVE_UP)


def paused() -> str:
    """Return what a chat is told once while the service is paused."""
    return gettext(PAUSED)


def nothing_found() -> str:
    """Return the answer to a photo without any object."""
    return gettext(NOTHING_FOUND)


def nothing_in_clip() -> str:
    """Return the answer to a clip without any object."""
    return gettext(NOTHING_IN_CLIP)


def none_of(labels: Sequence[str]) -> str:
    """Return the answer to a photo without any of the classes asked for."""
    return gettext("I found none of these in this photo: {names}.").format(names=_names(labels))


def none_of_in_photos(labels: Sequence[str]) -> str:
    """Return the answer to an album without any of the classes asked for."""
    return gettext("I found none of these in these photos: {names}.").format(names=_names(labels))


def _names(labels: Sequence[str]) -> str:
    return gettext(", ").join(gettext(classes.singular(label)) for label in labels)


def not_understood(unknown: Sequence[Unknown]) -> str:
    """Return a line for each word of a caption that is no option."""
    return "\n".join(_not_understood(each) for each in unknown)


def _not_understood(unknown: Unknown) -> str:
    if unknown.nearest:
        form = gettext("I don't know “{word}”. Did you mean “{nearest}”?")
        return form.format(word=unknown.word, nearest=unknown.nearest)
    return gettext("I don't know “{word}”. /help tells you what a caption can ask for.").format(word=unknown.word)


def failure(stored: str | None) -> str:
    """Return the sentence with which a photo failed, which is stored in English, in the current language.

    What is not in the catalogue, such as an operator's own words, stays as it is.
    """
    for sentence, pattern in _WITH_VALUES:
        if found := pattern.fullmatch(stored or ""):
            return gettext(sentence).format(**found.groupdict())
    return gettext(stored or UNAVAILABLE)
