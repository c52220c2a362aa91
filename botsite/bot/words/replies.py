"""The words of the bot. Plain text: labels and names need no escaping.

The constants are English, the keys of the catalogues; the functions return what is sent, in the current language.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from botsite import language
from botsite.language import gettext, isolated, names, ngettext
from detection.record import times
from detection.record.reasons import Reason
from detection.record.schemas import PERSON, Options, Prediction, Unknown
from detection.record.sentences import Code, noop

# What Telegram's menu says of each command.
COMMANDS = {
    "start": noop("What I do"),
    "help": noop("What you can send me, and what a caption can ask for"),
    "what": noop("What I can recognise; add a word to search"),
    "history": noop("Your photos, newest first"),
    "stats": noop("Your photos in numbers"),
    "settings": noop("How I answer your photos"),
    "feedback": noop("Tell me what's wrong with an answer"),
    "privacy": noop("What I keep, and for how long"),
    "delete_my_data": noop("Delete everything I keep about you"),
}
# Of these, those that no other bot in a group is likely to have with another meaning; the rest need the bot's name.
IN_GROUPS = ("start", "help", "privacy", "delete_my_data")
# In a chat with the bot before anything is said, and where people share the bot.
DESCRIPTION = noop(
    "Send me a photo, and I'll send it back with the objects in it boxed and counted. Photos as files keep their full "
    "resolution. /privacy says what I keep."
)
SHORT_DESCRIPTION = noop("Send me a photo and I'll tell you what's in it.")
# As a reply to a photo, they ask what is in it.
ASKING = ("what", "whatisthis", "what_is_this")

START = noop(
    "Hi! Send me a photo and I'll send it back with the objects in it boxed and counted.\n\n"
    "A photo sent as a file keeps its full resolution. Albums work too: their photos come back together.\n\n"
    "/help tells you more, /privacy what I keep."
)
HELP = noop(
    "Send me a photo, an album, a GIF or a video, or an image as a file (JPEG, PNG, WebP, HEIC, up to 20 MB), and I "
    "box and count what I recognise.\n"
    "In its caption you can ask for: only dogs, cats; conf 40%; labels off; blur (people); crops; json. Or ask me: how "
    "many people?\n"
    "Reply “what is this?” to a photo that is in our chat already, and I look at that one.\n"
    "If it takes a minute or two, I'm starting a machine: I sleep while nobody sends photos.\n"
    "/history shows your photos again, /privacy says what I keep."
)
GROUPS = noop(
    "In a group I only look at what is meant for me: mention me in a photo's caption, reply to a message of mine with "
    "a photo, or reply to somebody's photo and mention me or send /what.\n\n"
    "With privacy mode, which bots usually have, Telegram doesn't even show me anything else. In a chat without me, "
    "reply to a photo and mention me: if I can be called as a guest, I answer there once."
)
FEEDBACK = noop(
    "Under each answer there are 👍 and 👎. Press 👎, then the number of the box that is wrong, or “You missed "
    "something”. The operator of this bot sees it."
)
UNKNOWN_COMMAND = noop("I don't know that command. Send me a photo, or /help.")
NO_PHOTO = {
    "text": noop("Send me a photo and I'll tell you what's in it. /help tells you more."),
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
PAUSED = noop("I'm taking a break at the moment. Your photo is kept, and I'll answer it as soon as I'm back.")
NOT_ALLOWED = noop(
    "This bot isn't open to everybody, and you aren't on its list. Its operator can add you: your id is {number}."
)
NOTHING_FOUND = noop("I didn't recognise anything in this photo.")
NOTHING_IN_CLIP = noop("I didn't recognise anything in this clip.")

# Behind a "no", names have the form of this number: in English the plural, in Russian its genitive, in Arabic the
# singular.
_NONE = 100
_NO_PERSON = noop("no person")
NO_TEXT = noop("I couldn't find any text in this photo.")
MORE_TEXT = noop("There is more text than fits into a message.")
HEADS = noop("Heads are blurred where I saw people. Look closely before you share it.")
PEOPLE = noop("I only recognise people in general: I can't tell women, men, children or faces apart.")


def command(name: str) -> str:
    """Return the answer to a command."""
    match name:
        case "start":
            return gettext(START)
        case "feedback":
            return gettext(FEEDBACK)
        case "privacy":
            return privacy(settings.PREDICTIONS_KEPT_DAYS)
    if name in ASKING:
        return gettext(HOW_TO_ASK)
    return gettext(UNKNOWN_COMMAND)


def privacy(days: int) -> str:
    """Return what is kept of a photo, and for how many days."""
    kept = ngettext(
        "For {days} day I keep your photo, its boxed copy, what was found in it, what you said about my answer, your "
        "Telegram ID, and those of the chat and the message. Then I delete it.",
        "For {days} days I keep your photo, its boxed copy, what was found in it, what you said about my answer, your "
        "Telegram ID, and those of the chat and the message. Then I delete it.",
        days,
    )
    logs = ngettext(
        "My logs contain only ids, never your photos or messages, and are deleted after {days} day.",
        "My logs contain only ids, never your photos or messages, and are deleted after {days} days.",
        days,
    )
    rest = gettext(
        "Your settings stay until you delete them. Backups of the database hold no photos, and go after 35 days.\n\n"
        "Only the operator of this bot can see all this, and it is used only to answer you.\n\n"
        "/delete_my_data deletes everything but logs and backups at once."
    )
    counts = gettext("I count how many photos you send for two days. Deleting your data doesn't reset that.")
    return f"{kept} {logs} {rest} {counts}".format(days=days)


def no_photo(kind: str, *, in_group: bool = False) -> str:
    """Return the answer to a message that holds no photo, by its kind; in a group, sending one would not do."""
    return gettext(HOW_TO_ASK if in_group and kind == "text" else NO_PHOTO.get(kind, OTHER))


def how_to_call() -> str:
    """Return the answer to a guest's call that is about no photo."""
    return gettext(HOW_TO_CALL)


def own_photo() -> str:
    """Return the answer to a question about a picture that the bot has sent."""
    return gettext(OWN_PHOTO)


def gave_up() -> str:
    """Return the apology for what can be neither answered nor read."""
    return gettext(Code.GIVEN_UP.value)


def paused() -> str:
    """Return what a chat is told once while the service is paused."""
    return gettext(PAUSED)


def not_allowed(number: int) -> str:
    """Return what somebody is told who may not send photos."""
    return gettext(NOT_ALLOWED).format(number=number)


def nothing_found() -> str:
    """Return the answer to a photo without any object."""
    return gettext(NOTHING_FOUND)


def nothing_in_clip() -> str:
    """Return the answer to a clip without any object."""
    return gettext(NOTHING_IN_CLIP)


def nothing_to_find(number: int) -> str:
    """Return what is said below that: how many kinds of things are known, and what may help."""
    form = ngettext(
        "I can recognise {number} kind of thing: /what. If it's there, try again closer up, or in better light.",
        "I can recognise {number} kinds of thing: /what. If one of them is there, try again closer up, or in better "
        "light.",
        number,
    )
    return form.format(number=number)


def none_of(labels: Sequence[str]) -> str:
    """Return the answer to a photo without any of the classes asked for."""
    return gettext("I didn't find any {names} in this photo.").format(names=_names(labels))


def none_of_in_clip(labels: Sequence[str]) -> str:
    """Return the answer to a clip without any of the classes asked for."""
    return gettext("I didn't find any {names} in this clip.").format(names=_names(labels))


def none_of_in_photos(labels: Sequence[str]) -> str:
    """Return the answer to an album without any of the classes asked for."""
    return gettext("I didn't find any {names} in these photos.").format(names=_names(labels))


def _names(labels: Sequence[str]) -> str:
    """Return "dogs, cats or birds"."""
    *others, last = map(_none, labels)
    if not others:
        return last
    return gettext("{others} or {last}").format(others=gettext(", ").join(others), last=last)


def _none(label: str) -> str:
    """Return "people": in Russian, people who are counted have another form."""
    people = gettext(_NO_PERSON) if label == PERSON else _NO_PERSON
    return language.called(label, _NONE) if people == _NO_PERSON else people


def not_understood(options: Options) -> str:
    """Return a line for each word of a caption that is no option, that is misspelled, or that says too much."""
    return "\n".join(dict.fromkeys(_not_understood(each, options.only) for each in options.unknown))


def _not_understood(unknown: Unknown, shown: Sequence[str]) -> str:
    if not unknown.nearest:
        form = gettext("I don't know “{word}”. /help tells you what a caption can ask for.")
        return form.format(word=isolated(unknown.word))
    meant = names.meaning(unknown.word)
    if meant.people and meant.label in shown:
        return gettext(PEOPLE)
    took = gettext("I took “{word}” to mean “{nearest}”.")
    form = took if meant.slip and meant.label in shown else gettext("I don't know “{word}”. Did you mean “{nearest}”?")
    return form.format(word=isolated(unknown.word), nearest=isolated(unknown.nearest))


def written(text: str | None) -> str:
    """Return what is written in a photo, and whether that is all."""
    return gettext(NO_TEXT) if not text else f"{text}\n\n{gettext(MORE_TEXT)}" if text.endswith("\n…") else text


def of_heads(photo: Prediction, asked: Options) -> str:
    """Return how people are made unrecognisable, if they are: the model knows no faces."""
    return gettext(HEADS) if asked.blur and any(box.label == PERSON for box in photo.candidates) else ""


def failure(reason: Reason | None) -> str:
    """Return why a photo failed, in the current language; an operator's own words stay as they are."""
    reason = reason or Reason(Code.UNAVAILABLE)
    return gettext(reason.code.value).format(**reason.values)


def failure_of(prediction: Prediction) -> str:
    """Return why a photo failed as it is told now: a limit that is over by now names no time."""
    reason = prediction.reason
    return failure(Reason(Code.TOO_MANY_EARLIER) if reason and _over(reason, prediction.finished_at) else reason)


def _over(reason: Reason, since: datetime | None) -> bool:
    """Return whether a limit that was told at that time is over."""
    if reason.code is Code.LIMIT_DAY:
        return times.latest(since).date() < times.now().date()
    seconds = int(reason.values.get("seconds", _MINUTE))
    return reason.code in (Code.LIMIT_MINUTE, Code.TOO_MANY) and times.now() - times.latest(since) >= timedelta(
        seconds=seconds
    )


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
        text = gettext("There are many photos ahead of yours.")
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
