"""Show somebody what they prefer, in a message whose buttons change it.

A button holds the value that it leads to, so that one pressed twice does the same. It holds whose it is, too.
"""

from collections.abc import Callable
from dataclasses import replace

from asgiref.sync import sync_to_async

from botsite.bot import api, edits, language, looks, preferences
from botsite.bot.api import Button
from botsite.bot.language import gettext, speaking
from botsite.bot.preferences import Preferences
from botsite.bot.updates import Command, Press
from detection import deletions, known_classes
from detection.sentences import noop

_in_thread = sync_to_async(thread_sensitive=False)
CHOOSE = "set"
TEXT = noop(
    "This is how I answer all photos that you send; what a caption asks for comes first.\n\n"
    "Shown: what I'm at least {percent} % sure of\nLabels: {labels}\nPeople: {people}\nLanguage: {language}"
)
ON, OFF = noop("on"), noop("off")
BLURRED, SHOWN = noop("blurred"), noop("shown")
AS_APP, LIKE_APP = noop("that of your app"), noop("Like my app")
LANGUAGE, BACK, DEFAULTS = noop("Language"), noop("Back"), noop("Back to the defaults")
IN_PRIVATE = noop("That's between you and me: send me /{command} in our private chat.")
NOT_YOURS = noop("These are somebody else's settings.")
TOO_OLD = noop("You've deleted your settings since. Send /settings for new ones.")
UNKNOWN = noop("I don't know this button any more. Send /settings again.")
_LEAST, _LABELS, _BLUR, _LANGUAGE, _LIST, _NONE, _SHOW = "least", "labels", "blur", "language", "list", "none", "show"


async def show(command: Command) -> None:
    """Send the message. Raise TelegramError or botocore's errors."""
    if command.chat_id != command.sender_id:
        await only_in_private(command)
        return
    chosen = await preferences.of(command.sender_id)
    percent = await _percent(chosen)
    keyboard = _keyboard(chosen, percent, command.sender_id)
    await api.send_text(command.chat_id, _text(chosen, percent), command.message_id, keyboard=keyboard)


async def only_in_private(command: Command) -> None:
    """Say that others need not see this."""
    text = gettext(IN_PRIVATE).format(command=command.name)
    await api.send_text(command.chat_id, text, command.message_id, thread_id=command.thread_id)


async def pressed(press: Press, wanted: str) -> str:
    """Change a preference, and the message; return the notice to show."""
    user, _, change = wanted.partition(":")
    what, _, value = change.partition(":")
    if user != str(press.pressed_by) or press.chat_id != press.pressed_by:
        return gettext(NOT_YOURS)
    # A press may come again after everything was deleted.
    if (await _in_thread(deletions.question_of)(press.chat_id, press.pressed_by) or 0) > press.message_id:
        return gettext(TOO_OLD)
    before = await _in_thread(preferences.read)(press.pressed_by)
    after = _changed(before, what, value)
    if after is None:
        return gettext(UNKNOWN)
    if after != before:
        await preferences.save(press.pressed_by, after)
    percent = await _percent(after)
    with speaking(after.language, press.language):
        keyboard = _languages(press.pressed_by) if what == _LIST else _keyboard(after, percent, press.pressed_by)
        await edits.turn_into_text(press.chat_id, press.message_id, _text(after, percent), keyboard=keyboard)
    return ""


def _changed(before: Preferences, what: str, value: str) -> Preferences | None:
    """Return the preferences after a press, None for an unknown button."""
    change = _CHANGES.get(what)
    return change(before, value) if change else None


def _least(before: Preferences, value: str) -> Preferences | None:
    percent = int(value) if value.isascii() and value.isdecimal() and len(value) < 3 else 0
    return replace(before, least=percent / 100) if percent in looks.STEPS else None


def _language(before: Preferences, value: str) -> Preferences | None:
    return replace(before, language=value) if value in ("", *language.available()) else None


_CHANGES: dict[str, Callable[[Preferences, str], Preferences | None]] = {
    _LEAST: _least,
    _LABELS: lambda before, value: replace(before, labels=value == "1"),
    _BLUR: lambda before, value: replace(before, blur=value == "1"),
    _LANGUAGE: _language,
    _NONE: lambda before, value: preferences.NONE,
    _LIST: lambda before, value: before,
    _SHOW: lambda before, value: before,
}


def _text(chosen: Preferences, percent: int) -> str:
    return gettext(TEXT).format(
        percent=percent,
        labels=gettext(ON if chosen.labels else OFF),
        people=gettext(BLURRED if chosen.blur else SHOWN),
        language=language.available().get(chosen.language) or gettext(AS_APP),
    )


def _keyboard(chosen: Preferences, percent: int, user_id: int) -> list[list[Button]]:
    lower = [step for step in looks.STEPS if step < percent][-1:]
    higher = [step for step in looks.STEPS if step > percent][:1]
    labels = looks.LABELS_OFF if chosen.labels else looks.LABELS_ON
    blur = looks.BLUR_OFF if chosen.blur else looks.BLUR_ON
    rows = [
        [_button(user_id, looks.SURER, _LEAST, step) for step in higher]
        + [_button(user_id, looks.LESS_SURE, _LEAST, step) for step in lower],
        [
            _button(user_id, labels, _LABELS, int(not chosen.labels)),
            _button(user_id, blur, _BLUR, int(not chosen.blur)),
        ],
        [_button(user_id, LANGUAGE, _LIST)] if len(language.available()) > 1 else [],
        [_button(user_id, DEFAULTS, _NONE)] if chosen != preferences.NONE else [],
    ]
    return [row for row in rows if row]


def _languages(user_id: int) -> list[list[Button]]:
    """Return a button for each language, which has its own name for itself."""
    each = [Button(name, _data(user_id, _LANGUAGE, code)) for code, name in language.available().items()]
    rows = [each[start : start + 2] for start in range(0, len(each), 2)]
    return [[_button(user_id, LIKE_APP, _LANGUAGE)], *rows, [_button(user_id, BACK, _SHOW)]]


def _button(user_id: int, text: str, what: str, value: object = "") -> Button:
    return Button(gettext(text), _data(user_id, what, value))


def _data(user_id: int, what: str, value: object = "") -> str:
    return f"{CHOOSE}:{user_id}:{what}:{value}"


async def _percent(chosen: Preferences) -> int:
    """Return what is chosen, else the default of the model that answers."""
    return round((await _in_thread(known_classes.confidence)() if chosen.least is None else chosen.least) * 100)
