"""What a person prefers for all their photos: language, confidence, labels, blur, a sentence. A caption overrides it.

One item of the table for each person who has chosen something. A site knows it for a few seconds.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import aws, language
from botsite.bot.buttons import looks
from botsite.bot.buttons.presses import button
from botsite.bot.incoming.updates import Command, Press
from botsite.bot.people import commands
from botsite.bot.people.commands import command
from botsite.bot.telegram import api, edits
from botsite.bot.telegram.sending import Button
from botsite.language import gettext, speaking
from botsite.threads import in_thread
from detection.record import deletions, known_classes, times
from detection.record.schemas import EVERYTHING, Options
from detection.record.sentences import noop

log = structlog.get_logger()

# The other sites learn of a change after this time.
_KNOWN_FOR_SECONDS = 5.0
# Of so many people at most, which takes a megabyte.
_KNOWN_AT_MOST = 2000


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody has chosen. `language` ("de") is empty for that of their app, `least` None for the default."""

    language: str = ""
    least: float | None = None
    labels: bool = True
    blur: bool = False
    where: bool = False

    @property
    def options(self) -> Options:
        """Return what a photo of theirs asks for if its caption says nothing else."""
        return replace(EVERYTHING, least=self.least, labels=self.labels, blur=self.blur, where=self.where)


NONE = Preferences()
_known: dict[int, Preferences] = {}


async def of(user_id: int | None) -> Preferences:
    """Return what somebody prefers; nothing for a channel. A table that can't be read counts as no preference."""
    if user_id is None:
        return NONE
    if user_id in _known:
        return _known[user_id]
    try:
        found = await in_thread(read)(user_id)
    except (ClientError, BotoCoreError) as error:
        log.warning("preferences_unknown", error=str(error))
        return NONE
    _remember(user_id, found)
    return found


async def save(user_id: int, chosen: Preferences) -> None:
    """Store what somebody prefers. Raise botocore's errors."""
    await in_thread(_write)(user_id, chosen)
    _remember(user_id, chosen)


def forget(user_id: int) -> None:
    """Forget what this process knows of somebody."""
    _known.pop(user_id, None)


def key(user_id: int) -> str:
    """Return the key of somebody's item."""
    return f"settings#{user_id}"


def read(user_id: int) -> Preferences:
    """Return what the table says now (a consistent read)."""
    response = aws.dynamodb().get_item(
        TableName=settings.PREDICTIONS_TABLE, Key={"prediction_id": key(user_id)}, ConsistentRead=True
    )
    return _preferences(response.get("Item", {}))


def _write(user_id: int, chosen: Preferences) -> None:
    least = {} if chosen.least is None else {"least": Decimal(str(chosen.least))}
    item = {
        "prediction_id": key(user_id),
        "language": chosen.language,
        "labels": chosen.labels,
        "blur": chosen.blur,
        "where": chosen.where,
        # A deletion leaves what is chosen after it.
        "chosen_at": times.text(times.now()),
    }
    aws.dynamodb().put_item(TableName=settings.PREDICTIONS_TABLE, Item=item | least)


def _preferences(item: Mapping[str, Any]) -> Preferences:
    least = item.get("least")
    return Preferences(
        language=str(item.get("language", "")),
        least=None if least is None else float(least),
        labels=bool(item.get("labels", True)),
        blur=bool(item.get("blur", False)),
        where=bool(item.get("where", False)),
    )


def _remember(user_id: int, found: Preferences) -> None:
    """Know what was found for a while; nothing of a person stays in memory after that."""
    if user_id not in _known and len(_known) >= _KNOWN_AT_MOST:
        return
    _known[user_id] = found
    asyncio.get_running_loop().call_later(_KNOWN_FOR_SECONDS, _known.pop, user_id, None)


CHOOSE = "set"
TEXT = noop(
    "Settings for all your photos. A caption can override them.\n\nShown: anything I'm at least {percent}% sure about"
    "\nLabels: {labels}\nPeople: {people}\nA sentence that says where things are: {where}\nLanguage: {language}"
)
MORE, LESS = noop("Show more"), noop("Show less")
ON, OFF = noop("on"), noop("off")
BLURRED, SHOWN = noop("blurred"), noop("shown")
YES, NO = noop("yes"), noop("no")
SAY_WHERE, NOT_WHERE = noop("Say where"), noop("Don't say where")
AS_APP, LIKE_APP = noop("that of your app"), noop("Like my app")
LANGUAGE, BACK, DEFAULTS = noop("Language"), noop("Back"), noop("Back to the defaults")
IN_PRIVATE = noop("That's between you and me: send me /{command} in our private chat.")
NOT_YOURS = noop("These are somebody else's settings.")
TOO_OLD = noop("You've deleted your settings since. Send /settings for new ones.")
UNKNOWN = noop("I don't know this button any more. Send /settings again.")
_LEAST, _LABELS, _BLUR, _WHERE, _LANGUAGE = "least", "labels", "blur", "where", "language"
_LIST, _NONE, _SHOW = "list", "none", "show"


@command("settings")
async def show(asked: Command) -> None:
    """Send the message. Raise TelegramError or botocore's errors."""
    if asked.chat_id != asked.sender_id:
        await only_in_private(asked)
        return
    chosen = await of(asked.sender_id)
    percent = await _percent(chosen)
    keyboard = _keyboard(chosen, percent, asked.sender_id)
    await api.send_text(asked.chat_id, _text(chosen, percent), asked.message_id, keyboard=keyboard)


async def only_in_private(asked: Command) -> None:
    """Say that others need not see this."""
    await commands.in_private(asked, gettext(IN_PRIVATE).format(command=asked.name))


@button(CHOOSE)
async def pressed(press: Press, wanted: str) -> str:
    """Change a preference, and the message; return the notice to show."""
    user, _, change = wanted.partition(":")
    what, _, value = change.partition(":")
    if user != str(press.pressed_by) or press.chat_id != press.pressed_by:
        return gettext(NOT_YOURS)
    # A press may come again after everything was deleted.
    if (await in_thread(deletions.question_of)(press.chat_id, press.pressed_by) or 0) > press.message_id:
        return gettext(TOO_OLD)
    before = await in_thread(read)(press.pressed_by)
    after = _changed(before, what, value)
    if after is None:
        return gettext(UNKNOWN)
    if after != before:
        await save(press.pressed_by, after)
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
    _WHERE: lambda before, value: replace(before, where=value == "1"),
    _LANGUAGE: _language,
    _NONE: lambda before, value: NONE,
    _LIST: lambda before, value: before,
    _SHOW: lambda before, value: before,
}


def _text(chosen: Preferences, percent: int) -> str:
    return gettext(TEXT).format(
        percent=percent,
        labels=gettext(ON if chosen.labels else OFF),
        people=gettext(BLURRED if chosen.blur else SHOWN),
        where=gettext(YES if chosen.where else NO),
        language=language.available().get(chosen.language) or gettext(AS_APP),
    )


def _keyboard(chosen: Preferences, percent: int, user_id: int) -> list[list[Button]]:
    lower = [step for step in looks.STEPS if step < percent][-1:]
    higher = [step for step in looks.STEPS if step > percent][:1]
    labels = looks.LABELS_OFF if chosen.labels else looks.LABELS_ON
    blur = looks.BLUR_OFF if chosen.blur else looks.BLUR_ON
    rows = [
        [_button(user_id, MORE, _LEAST, step) for step in lower]
        + [_button(user_id, LESS, _LEAST, step) for step in higher],
        [
            _button(user_id, labels, _LABELS, int(not chosen.labels)),
            _button(user_id, blur, _BLUR, int(not chosen.blur)),
        ],
        [_button(user_id, NOT_WHERE if chosen.where else SAY_WHERE, _WHERE, int(not chosen.where))]
        + ([_button(user_id, LANGUAGE, _LIST)] if len(language.available()) > 1 else []),
        [_button(user_id, DEFAULTS, _NONE)] if chosen != NONE else [],
    ]
    return [row for row in rows if row]


def _languages(user_id: int) -> list[list[Button]]:
    """Return a button for each language, which has its own name for itself."""
    each = [Button(name, _data(user_id, _LANGUAGE, code)) for code, name in language.available().items()]
    rows = [each[start : start + 2] for start in range(0, len(each), 2)]
    return [[_button(user_id, LIKE_APP, _LANGUAGE)], *rows, [_button(user_id, BACK, _SHOW)]]


def _button(user_id: int, text: str, what: str, value: object = "") -> Button:
    return Button(gettext(text), _data(user_id, what, value))


def opening(user_id: int) -> str:
    """Return what a button holds that opens somebody's settings."""
    return _data(user_id, _SHOW)


def _data(user_id: int, what: str, value: object = "") -> str:
    return f"{CHOOSE}:{user_id}:{what}:{value}"


async def _percent(chosen: Preferences) -> int:
    """Return what is chosen, else the default of the model that answers."""
    return round((await in_thread(known_classes.confidence)() if chosen.least is None else chosen.least) * 100)
