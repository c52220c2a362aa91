"""Ask whether to delete everything that is kept of somebody, delete it, and say what was deleted.

It may take longer than a press may, so it goes on in the background. If this process dies, the sweep has another site
continue (detection/record/deletions.py).
"""

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from botsite import in_flight, language, rate_limit
from botsite.bot.buttons.presses import button
from botsite.bot.incoming import welcome
from botsite.bot.incoming.updates import Command, Press
from botsite.bot.people import preferences
from botsite.bot.people.commands import command
from botsite.bot.telegram import api, edits
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Button
from botsite.language import gettext, ngettext
from botsite.threads import in_thread
from detection.record import deletions
from detection.record.deletions import Deletion, Person
from detection.record.sentences import noop
from detection.work import erasure
from detection.work.erasure import Status

log = structlog.get_logger()

ERASE = "erase"
_YES, _NO = "yes", "no"
ASK = noop(
    "Shall I delete everything I keep from this chat? Your photos, what was found in them, what you said about my "
    "answers, and your settings. This can't be undone."
)
ASK_IN_GROUP = noop(
    "Shall I delete every photo that you've sent in this group, and what was found in it? This can't be undone. "
    "What you've sent me in private stays; ask me there."
)
DELETE, KEEP = noop("Delete everything"), noop("Keep it")
KEPT = noop("Nothing was deleted.")
AT_IT = noop("I'm deleting it. I'll tell you when I'm done.")
DONE = noop("That's done already. To delete what came since, send /delete_my_data in a minute.")
NOT_YOURS = noop("Only the person who asked for it can do that.")
# Of messages about the wait; the others stay, without a photo. Each takes a call of Telegram.
_STATUSES_AT_MOST = 30
_FAILURES = (TelegramError, ClientError, BotoCoreError, TimeoutError, deletions.TakenOver)


@command("delete_my_data")
async def ask(asked: Command) -> None:
    """Ask whether to delete. Raise TelegramError."""
    if asked.sender_id is None:
        return
    asker = asked.sender_id
    delete = Button(gettext(DELETE), f"{ERASE}:{_YES}:{asker}", style="danger")
    keyboard = [[delete], [Button(gettext(KEEP), f"{ERASE}:{_NO}:{asker}")]]
    text = gettext(ASK_IN_GROUP if asked.chat_id < 0 else ASK)
    await api.send_text(asked.chat_id, text, asked.message_id, thread_id=asked.thread_id, keyboard=keyboard)


@button(ERASE)
async def pressed(press: Press, answer: str) -> str:
    """Delete, or don't; return the notice to show."""
    word, _, asker = answer.partition(":")
    if asker != str(press.pressed_by):
        return gettext(NOT_YOURS)
    if word != _YES:
        await edits.turn_into_text(press.chat_id, press.message_id, gettext(KEPT))
        return ""
    person = Person(press.chat_id, press.pressed_by)
    # A press that comes twice deletes nothing that was sent since.
    if await in_thread(deletions.begin)(person, press.message_id, language.current(), press.thread_id):
        log.info("deletion_began", chat_id=press.chat_id)
        go_on(person.key)
    elif await in_thread(deletions.question_of)(person.chat_id, person.user_id) != press.message_id:
        return gettext(DONE)
    return gettext(AT_IT)


def go_on(key: str) -> None:
    """Work on a deletion in the background, unless somebody does."""
    in_flight.start(_work(key))


async def _work(key: str) -> None:
    try:
        if deletion := await in_thread(deletions.claim)(key):
            await _delete(deletion)
    except _FAILURES as error:
        log.warning("deletion_interrupted", deletion=key, error=str(error))


async def _delete(deletion: Deletion) -> None:
    pages, left = erasure.delete_all(deletion), list[Status]()
    while (page := await in_thread(next)(pages, None)) is not None:
        for message_id in page.pictures:
            await edits.delete(settings.STORAGE_CHAT, message_id)
        left += page.statuses
    person = deletion.person
    if person.alone:
        preferences.forget(person.user_id)
    for status in left[:_STATUSES_AT_MOST]:
        await edits.delete(status.chat_id, status.message_id)
    if deletion.again:
        if person.alone:
            await in_thread(rate_limit.forget_chat)(person.chat_id, *welcome.notices(person.chat_id))
        await in_thread(deletions.finish)(deletion)
        log.info("deletion_finished", chat_id=person.chat_id)
        return
    with language.speaking(deletion.language):
        await _tell(deletion, _report(person, await in_thread(deletions.photos_of)(deletion)))
    await in_thread(deletions.note_told)(deletion)
    log.info("deletion_done", chat_id=person.chat_id)


async def _tell(deletion: Deletion, text: str) -> None:
    """Turn the question into what was deleted; say it in a message of its own if the question is gone."""
    chat_id = deletion.person.chat_id
    try:
        await edits.turn_into_text(chat_id, deletion.question, text)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.info("question_not_edited", error=str(error))
        try:
            await api.send_text(chat_id, text, thread_id=deletion.thread_id)
        except TelegramError as again:
            if not again.permanent:
                raise
            log.warning("answer_undeliverable", chat_id=chat_id, error=str(again))


def _report(person: Person, photos: int) -> str:
    if person.alone:
        form = ngettext(
            "I've deleted {number} photo with all that was found in it, and your settings. "
            "I can't delete the messages in this chat; you can.",
            "I've deleted {number} photos with all that was found in them, and your settings. "
            "I can't delete the messages in this chat; you can.",
            photos,
        )
    else:
        form = ngettext(
            "I've deleted {number} photo that you'd sent in this group, with all that was found in it. "
            "I can't delete the messages here; you can.",
            "I've deleted {number} photos that you'd sent in this group, with all that was found in them. "
            "I can't delete the messages here; you can.",
            photos,
        )
    return form.format(number=photos)
