"""Answer a command: the features register theirs, and the others get a text."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import structlog

from botsite.bot.incoming.updates import Command
from botsite.bot.telegram import api
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.telegram.sending import Button
from botsite.bot.words import replies
from botsite.language import gettext
from detection.record.sentences import noop

log = structlog.get_logger()

Answer = Callable[[Command], Awaitable[None]]
A = TypeVar("A", bound=Answer)
_ANSWERS: dict[str, Answer] = {}
PRIVATE_CHAT = noop("Our private chat")
# Answers that would fill the screen of everybody in a group.
_LONG = ("help", "privacy")


def command(name: str) -> Callable[[A], A]:
    """Register what answers a command; it may raise TelegramError or botocore's errors."""

    def register(answer: A) -> A:
        _ANSWERS[name] = answer
        return answer

    return register


async def answer(asked: Command) -> None:
    """Do what a command asks for. Raise TelegramError or botocore's errors if it has to come again.

    The link of `in_private` sends a /start with the command's name.
    """
    if asked.name == "start" and asked.argument in replies.COMMANDS and not asked.in_group:
        asked = replace(asked, name=asked.argument, argument="")
    elsewhere = asked.in_group and asked.name in _LONG
    try:
        await (_elsewhere if elsewhere else _ANSWERS.get(asked.name, _say))(asked)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.warning("answer_undeliverable", chat_id=asked.chat_id, error=str(error))


async def in_private(asked: Command, text: str) -> None:
    """Say in a group what the private chat, which a button opens, is for."""
    link = Button(gettext(PRIVATE_CHAT), url=f"https://t.me/{await api.username()}?start={asked.name}")
    await api.send_text(asked.chat_id, text, asked.message_id, thread_id=asked.thread_id, keyboard=[[link]])


async def _elsewhere(asked: Command) -> None:
    await in_private(asked, gettext(replies.COMMANDS[asked.name]))


async def _say(asked: Command) -> None:
    await api.send_text(asked.chat_id, replies.command(asked.name), asked.message_id, thread_id=asked.thread_id)
