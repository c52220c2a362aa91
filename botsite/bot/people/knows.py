"""Say what the bot can recognise: all of it, a page at a time, or what is nearest to a word."""

from collections.abc import Sequence
from difflib import get_close_matches

from botsite import language
from botsite.bot.buttons.presses import BUSY, button
from botsite.bot.incoming.updates import Command, Press
from botsite.bot.people.commands import command
from botsite.bot.telegram import api, edits
from botsite.bot.telegram.sending import Button
from botsite.language import gettext, isolated, ngettext
from botsite.threads import in_thread
from detection.record import known_classes
from detection.record.sentences import noop

WHAT = "what"
YES = noop("Yes, I know: {names}.")
NO = noop("I don't know “{word}”.")
NEAREST = noop("I don't know “{word}”. Nearest to it: {names}.")
EARLIER, MORE = noop("Back"), noop("More")
UNKNOWN = noop("I don't know this button any more. Send /what again.")
# The default model's 80 fit on the first page.
_PAGE = 120
_FOUND_AT_MOST, _WORD_LENGTH, _NAME_LENGTH = 20, 40, 40


@command("what")
async def answer(asked: Command) -> None:
    """Answer /what, with a word or without. Raise TelegramError or botocore's errors."""
    labels = await in_thread(known_classes.read)()
    if asked.argument:
        text, keyboard = search(asked.argument, labels), list[list[Button]]()
    else:
        text, keyboard = page(labels, 0)
    await api.send_text(asked.chat_id, text, asked.message_id, thread_id=asked.thread_id, keyboard=keyboard)


@button(WHAT)
async def pressed(press: Press, wanted: str) -> str:
    """Turn to another page; anybody may. Return the notice to show."""
    if not await edits.leaves_room(press.chat_id):
        return gettext(BUSY)
    labels = await in_thread(known_classes.read)()
    number = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 4 else -1
    if not 0 <= number * _PAGE < max(len(labels), 1):
        return gettext(UNKNOWN)
    text, keyboard = page(labels, number)
    await edits.turn_into_text(press.chat_id, press.message_id, text, keyboard=keyboard)
    return ""


def page(labels: Sequence[str], number: int) -> tuple[str, list[list[Button]]]:
    """Return a page of what is known, in the order of the alphabet, and the buttons that lead to its neighbours."""
    names = sorted(map(_name, labels), key=str.casefold)
    first = number * _PAGE
    form = ngettext("I know {number} thing:", "I know {number} things:", len(names)).format(number=len(names))
    hint = gettext("Ask for one by /what and its name. In a photo's caption, “only” and names choose.")
    text = f"{form}\n\n{gettext(', ').join(names[first : first + _PAGE])}\n\n{hint}"
    buttons = [Button(gettext(EARLIER), f"{WHAT}:{number - 1}")] if number else []
    buttons += [Button(gettext(MORE), f"{WHAT}:{number + 1}")] if first + _PAGE < len(names) else []
    return text, [buttons] if buttons else []


def search(word: str, labels: Sequence[str]) -> str:
    """Return whether something is known, in English or in the current language, by part of its name."""
    word = " ".join(word.split())[:_WORD_LENGTH]
    names = {key: _name(label) for key, label in language.names(labels).items()}
    wanted = language.fold(word)
    found = dict.fromkeys(name for key, name in names.items() if wanted in key)
    if found:
        return gettext(YES).format(names=gettext(", ").join(list(found)[:_FOUND_AT_MOST]))
    nearest = dict.fromkeys(names[key] for key in get_close_matches(wanted, names))
    if nearest:
        return gettext(NEAREST).format(word=isolated(word), names=gettext(", ").join(nearest))
    return gettext(NO).format(word=isolated(word))


def _name(label: str) -> str:
    return language.called(label[:_NAME_LENGTH])
