"""Say what the bot can recognise: all of it, a page at a time, or what is nearest to a word."""

from collections.abc import Sequence

from botsite import language
from botsite.bot.buttons.presses import BUSY, button
from botsite.bot.incoming.updates import Command, Press
from botsite.bot.people.commands import command
from botsite.bot.telegram import api, edits
from botsite.bot.telegram.sending import Button
from botsite.bot.words import replies
from botsite.language import gettext, isolated, names, ngettext
from botsite.threads import in_thread
from detection.record import known_classes
from detection.record.sentences import noop

WHAT = "what"
YES = noop("Yes: {names}.")
NO = noop("I don't know “{word}”.")
NEAREST = noop("I don't know “{word}”. Closest: {names}.")
EARLIER, MORE = noop("Back"), noop("More")
UNKNOWN = noop("I don't know this button any more. Send /what again.")
# The default model's 80 fit on the first page.
_PAGE = 120
_FOUND_AT_MOST, _TEXT_LENGTH, _NAME_LENGTH = 20, 200, 40


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
    known = sorted(map(_name, labels), key=language.order)
    first = number * _PAGE
    form = ngettext(
        "I can recognise {number} kind of thing:", "I can recognise {number} kinds of thing:", len(known)
    ).format(number=len(known))
    hint = gettext("Ask for one by /what and its name. In a photo's caption, “only” and names choose.")
    text = f"{form}\n\n{gettext(', ').join(known[first : first + _PAGE])}\n\n{hint}"
    buttons = [Button(gettext(EARLIER), f"{WHAT}:{number - 1}")] if number else []
    buttons += [Button(gettext(MORE), f"{WHAT}:{number + 1}")] if first + _PAGE < len(known) else []
    return text, [buttons] if buttons else []


def search(text: str, labels: Sequence[str]) -> str:
    """Return what of this is known, and what is nearest to the rest, in the current language or in English."""
    if names.points(text):
        return gettext(replies.HOW_TO_ASK)
    found = names.read(" ".join(text.split())[:_TEXT_LENGTH], labels)[:_FOUND_AT_MOST]
    known = dict.fromkeys(_names(each.label) for each in found if each.label)
    lines = [gettext(YES).format(names=gettext(", ").join(known))] if known else []
    lines += [gettext(replies.PEOPLE)] if any(each.people for each in found) else []
    for each in found:
        if not each.label:
            form = gettext(NEAREST if each.near else NO)
            lines.append(form.format(word=isolated(each.word), names=_names(each.near) if each.near else ""))
    return "\n".join(lines) or gettext(replies.HOW_TO_ASK)


def _names(label: str) -> str:
    return isolated(name) if (name := language.several(label[:_NAME_LENGTH])).isascii() else name


def _name(label: str) -> str:
    return language.called(label[:_NAME_LENGTH])
