"""Tell Telegram what its apps show of the bot, in each language: the menu of commands, and what the bot is for.

Telegram is asked first, so that running it again sends nothing. What is set without a language is in English, and for
everybody whose language has nothing of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telegram import Bot

from botsite import logs
from botsite.bot import language, replies
from botsite.bot.language import gettext, speaking
from deploy import background
from deploy.webhook import bot_api

# Telegram knows languages by two letters.
_CODE_LENGTH = 2
_EVERYBODY = ""


@dataclass(frozen=True)
class Profile:
    """What the apps show in a language."""

    commands: tuple[tuple[str, str], ...]
    description: str
    short_description: str


def publish(token: str) -> list[str]:
    """Send what Telegram has different; return a line for each. Raise TelegramError."""
    logs.hide(token)
    # In a thread: the caller may already run an event loop.
    return background.start(lambda: asyncio.run(_publish(bot_api.bot(token)))).result()


def wanted() -> dict[str, Profile]:
    """Return what each language is to show."""
    codes = [code for code in language.available() if len(code) == _CODE_LENGTH and code != "en"]
    return {_EVERYBODY: _profile("en"), **{code: _profile(code) for code in codes}}


def _profile(code: str) -> Profile:
    with speaking(code):
        return Profile(
            tuple((name, gettext(text)) for name, text in replies.COMMANDS.items()),
            gettext(replies.DESCRIPTION),
            gettext(replies.SHORT_DESCRIPTION),
        )


async def _publish(bot: Bot) -> list[str]:
    changes: list[str] = []
    async with bot.request:
        for code, profile in wanted().items():
            changes += await _publish_one(bot, code, profile)
    return changes


async def _publish_one(bot: Bot, code: str, profile: Profile) -> list[str]:
    commands = await bot_api.call(lambda: bot.get_my_commands(language_code=code or None))
    long = await bot_api.call(lambda: bot.get_my_description(language_code=code or None))
    short = await bot_api.call(lambda: bot.get_my_short_description(language_code=code or None))
    steps: list[tuple[str, object, object, Callable[[], Awaitable[bool]]]] = [
        (
            "commands",
            tuple((each.command, each.description) for each in commands),
            profile.commands,
            lambda: bot.set_my_commands(profile.commands, language_code=code or None),
        ),
        (
            "description",
            long.description,
            profile.description,
            lambda: bot.set_my_description(profile.description, language_code=code or None),
        ),
        (
            "short description",
            short.short_description,
            profile.short_description,
            lambda: bot.set_my_short_description(profile.short_description, language_code=code or None),
        ),
    ]
    changed = []
    for what, has, needed, send in steps:
        if has != needed:
            await bot_api.call(send)
            changed.append(f"{what} in {code}" if code else what)
    return changed
