"""Tell Telegram what its apps show of the bot, in each language: the menu of commands, and what the bot is for.

Telegram is asked first, so that running it again sends nothing. What is set without a language is for everybody whose
language has nothing of its own: in English, or in the first language of a bot that doesn't speak it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from telegram import Bot

from botsite import language, logs
from botsite.bot.words import replies
from botsite.language import gettext, speaking
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


# A language that the bot doesn't speak, or doesn't speak any more, shows what is for everybody.
_NOTHING = Profile((), "", "")


def publish(token: str, languages: Collection[str]) -> list[str]:
    """Send what Telegram has different for a bot that speaks these; return a line for each. Raise TelegramError."""
    logs.hide(token)
    # In a thread: the caller may already run an event loop.
    return background.start(lambda: asyncio.run(_publish(bot_api.bot(token), wanted(languages)))).result()


def wanted(languages: Collection[str]) -> dict[str, Profile]:
    """Return what each language is to show, everybody's first."""
    everybody = language.choose(offered=languages)
    own = set(languages) - {everybody}
    codes = [code for code in language.NAMES if len(code) == _CODE_LENGTH]
    return {_EVERYBODY: _profile(everybody), **{code: _profile(code) if code in own else _NOTHING for code in codes}}


def _profile(code: str) -> Profile:
    with speaking(code, offered=[code]):
        return Profile(
            tuple((name, gettext(text)) for name, text in replies.COMMANDS.items()),
            gettext(replies.DESCRIPTION),
            gettext(replies.SHORT_DESCRIPTION),
        )


async def _publish(bot: Bot, profiles: dict[str, Profile]) -> list[str]:
    changes: list[str] = []
    async with bot.request:
        for code, profile in profiles.items():
            changes += await _publish_one(bot, code, profile, profiles[_EVERYBODY])
    return changes


async def _publish_one(bot: Bot, code: str, profile: Profile, everybodys: Profile) -> list[str]:
    commands = await bot_api.call(lambda: bot.get_my_commands(language_code=code or None))
    long = await bot_api.call(lambda: bot.get_my_description(language_code=code or None))
    short = await bot_api.call(lambda: bot.get_my_short_description(language_code=code or None))
    steps: list[tuple[str, object, Collection[object], Callable[[], Awaitable[bool]]]] = [
        (
            "commands",
            tuple((each.command, each.description) for each in commands),
            (profile.commands,),
            lambda: (
                bot.set_my_commands(profile.commands, language_code=code or None)
                if profile.commands
                else bot.delete_my_commands(language_code=code or None)
            ),
        ),
        (
            "description",
            long.description,
            _fine(profile.description, everybodys.description),
            lambda: bot.set_my_description(profile.description, language_code=code or None),
        ),
        (
            "short description",
            short.short_description,
            _fine(profile.short_description, everybodys.short_description),
            lambda: bot.set_my_short_description(profile.short_description, language_code=code or None),
        ),
    ]
    changed = []
    for what, has, fine, send in steps:
        if has not in fine:
            await bot_api.call(send)
            changed.append(f"{what} in {code}" if code else what)
    return changed


def _fine(needed: str, everybodys: str) -> tuple[str, ...]:
    """Return the texts that need no change: for a language without its own, Telegram may tell everybody's."""
    return (needed,) if needed else ("", everybodys)
