"""Answer a command."""

import structlog

from botsite.bot.incoming.updates import Command
from botsite.bot.people import erase, history, knows, preferences
from botsite.bot.telegram import api
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import replies

log = structlog.get_logger()


async def answer(command: Command) -> None:
    """Do what a command asks for. Raise TelegramError or botocore's errors if it has to come again."""
    try:
        await _answer(command)
    except TelegramError as error:
        if not error.permanent:
            raise
        log.warning("answer_undeliverable", chat_id=command.chat_id, error=str(error))


async def _answer(command: Command) -> None:
    match command.name:
        case "delete_my_data":
            await erase.ask(command)
        case "what":
            await knows.answer(command)
        case "history":
            await history.answer(command)
        case "stats":
            await history.statistics(command)
        case "settings":
            await preferences.show(command)
        case _:
            await api.send_text(
                command.chat_id, replies.command(command.name), command.message_id, thread_id=command.thread_id
            )
