"""Know who may send photos: ALLOWED_USERS and DENIED_USERS, by ids and @names.

Commands are for everybody: people who may not send photos can still read what is kept, and have it deleted.
"""

from django.conf import settings

from botsite.bot.incoming.updates import Guest, Photo, Press


def of_sender(asked: Photo | Guest) -> frozenset[str]:
    """Return what a list may call the sender: a user or a channel, or the chat it comes from."""
    return _called(asked.sender_name, asked.chat_id, asked.sender_id, asked.sender_chat)


def of_press(press: Press) -> frozenset[str]:
    """Return what a list may call somebody who presses a button."""
    return _called(press.presser_name, press.chat_id, press.pressed_by)


def welcome(called: frozenset[str]) -> bool:
    """Return whether somebody may use the bot: nobody who is denied, and if anybody is allowed, only they."""
    if called & settings.DENIED_USERS:
        return False
    return not settings.ALLOWED_USERS or bool(called & settings.ALLOWED_USERS)


def _called(name: str, *numbers: int | None) -> frozenset[str]:
    return frozenset(filter(None, (name, *(str(number) for number in numbers if number is not None))))
