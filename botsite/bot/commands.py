"""Answer a command. What it is called, and what it does in a line, stands here for Telegram's menu, too."""

import structlog

from botsite.bot import api, erase, preference_menu, replies
from botsite.bot.errors import TelegramError
from botsite.bot.updates import Command

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
        case "settings":
            await preference_menu.show(command)
        case _:
            await api.send_text(command.chat_id, replies.command(command.name), command.message_id)
