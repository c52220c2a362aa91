"""Look at whether people can call the bot as a guest, and whether it can answer them with pictures."""

from dataclasses import dataclass

from telegram import Bot

from botsite.bot.telegram.errors import TelegramError
from deploy.webhook import bot_api


@dataclass(frozen=True)
class GuestMode:
    """Whether @BotFather has guest mode on, where pictures go first, and why the bot can't write there, if so."""

    on: bool
    storage_chat: int | None
    refusal: str = ""


def look(token: str, storage_chat: int | None) -> GuestMode:
    """Ask Telegram. Raise TelegramError if it doesn't answer."""
    on = bool(bot_api.ask(token, lambda bot: bot.get_me).supports_guest_queries)
    return GuestMode(on, storage_chat, refusal(token, storage_chat))


def refusal(token: str, storage_chat: int | None) -> str:
    """Return why the bot can't write to the chat, empty if it can, or no chat is set.

    A channel takes no chat action, so a message is sent without a sound, and deleted.
    """
    if storage_chat is None:
        return ""

    async def write(bot: Bot) -> bool:
        sent = await bot.send_message(storage_chat, "Can I write here?", disable_notification=True)
        return await bot.delete_message(storage_chat, sent.message_id)

    try:
        bot_api.ask(token, lambda bot: lambda: write(bot))
    except TelegramError as error:
        if not error.permanent:
            raise
        return str(error)
    return ""
