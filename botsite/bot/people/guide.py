"""Answer /help in a few lines, with buttons for the rest."""

from botsite.bot.buttons.presses import button
from botsite.bot.incoming.updates import Command, Press
from botsite.bot.people import commands, knows, preferences
from botsite.bot.telegram import api, edits
from botsite.bot.telegram.sending import Button, Keyboard
from botsite.bot.words import replies
from botsite.language import gettext
from detection.record.sentences import noop

GUIDE = "guide"
WHAT, SETTINGS, GROUPS, BACK = noop("What I know"), noop("Settings"), noop("Groups"), noop("Back")
_GROUPS = "groups"


@commands.command("help")
async def answer(asked: Command) -> None:
    """Answer /help. Raise TelegramError."""
    text, keyboard = page("", asked.sender_id)
    await api.send_text(asked.chat_id, text, asked.message_id, thread_id=asked.thread_id, keyboard=keyboard)


@button(GUIDE)
async def pressed(press: Press, wanted: str) -> str:
    """Turn to the other page; return the notice to show."""
    text, keyboard = page(wanted, press.pressed_by)
    await edits.turn_into_text(press.chat_id, press.message_id, text, keyboard=keyboard)
    return ""


def page(wanted: str, user_id: int | None) -> tuple[str, Keyboard]:
    """Return what is said of groups, or else of everything, and the buttons below it."""
    if wanted == _GROUPS:
        return gettext(replies.GROUPS), [[Button(gettext(BACK), f"{GUIDE}:")]]
    buttons = [Button(gettext(WHAT), f"{knows.WHAT}:0"), Button(gettext(GROUPS), f"{GUIDE}:{_GROUPS}")]
    if user_id:
        buttons.insert(1, Button(gettext(SETTINGS), preferences.opening(user_id)))
    return gettext(replies.HELP), [buttons]
