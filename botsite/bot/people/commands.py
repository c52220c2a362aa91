"""Answer a command: the features register theirs, and the others get a text."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from botsite.bot.incoming.updates import Command
from botsite.bot.telegram import api
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import replies

log = structlog.get_logger()

Answer = Callable[[Command], Awaitable[None]]
A = TypeVar("A", bound=Answer)
_ANSWERS: dict[str, Answer] = {}


def command(name: str) -> Callable[[A], A]:
    """Register what answers a command; it may raise TelegramError or botocore's errors."""

    def register(answer: A) -> A:
        _ANSWERS[name] = answer
        return answer

    return register


async def answer(asked: Command) -> None:
    """Do what a command asks for. Raise TelegramError or botocore's errors if it has to come again."""
    try:
        await _ANSWERS.get(asked.name, _say)(asked)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.warning("answer_undeliverable", chat_id=asked.chat_id, error=str(error))


async def _say(asked: Command) -> None:
    await api.send_text(asked.chat_id, replies.command(asked.name), asked.message_id, thread_id=asked.thread_id)
