"""What people see of the bot besides its messages, by language: the menu of commands and its descriptions."""

from __future__ import annotations

import re

from .calls import Call, JsonObject, bad_request
from .state import Telegram

_MAX_COMMANDS, _MAX_COMMAND_DESCRIPTION = 100, 256
_LONGEST = {"description": 512, "short_description": 120}


async def set_my_commands(telegram: Telegram, call: Call) -> bool:
    """Set the commands in the bot's menu, for one language or for those without commands of their own."""
    commands = call.json("commands")
    if not isinstance(commands, list):
        raise bad_request("can't parse commands: an array is expected")
    if len(commands) > _MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    telegram.profile.commands[_language(call)] = [_command(entry) for entry in commands]
    return True


async def get_my_commands(telegram: Telegram, call: Call) -> list[JsonObject]:
    """Return the commands that were set for exactly this language."""
    return telegram.profile.commands.get(_language(call), [])


async def delete_my_commands(telegram: Telegram, call: Call) -> bool:
    """Have a language use the commands of all languages again."""
    telegram.profile.commands.pop(_language(call), None)
    return True


async def set_my_description(telegram: Telegram, call: Call) -> bool:
    """Set what an empty chat shows."""
    return _set(telegram, call, "description")


async def get_my_description(telegram: Telegram, call: Call) -> JsonObject:
    """Return what an empty chat shows in this language."""
    return _get(telegram, call, "description")


async def set_my_short_description(telegram: Telegram, call: Call) -> bool:
    """Set what the bot's profile shows."""
    return _set(telegram, call, "short_description")


async def get_my_short_description(telegram: Telegram, call: Call) -> JsonObject:
    """Return what the bot's profile shows in this language."""
    return _get(telegram, call, "short_description")


def _set(telegram: Telegram, call: Call, name: str) -> bool:
    text = call.text(name) or ""
    if len(text) > _LONGEST[name]:
        raise bad_request(f"{name.upper()}_TOO_LONG")
    telegram.profile.texts[name, _language(call)] = text
    return True


def _get(telegram: Telegram, call: Call, name: str) -> JsonObject:
    """Return the text of the language; without one, that of all languages."""
    texts = telegram.profile.texts
    return {name: texts.get((name, _language(call))) or texts.get((name, ""), "")}


def _command(entry: object) -> JsonObject:
    if not isinstance(entry, dict):
        raise bad_request("can't parse BotCommand: an object is expected")
    name, description = str(entry.get("command")).lstrip("/"), str(entry.get("description", ""))
    if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 1 <= len(description) <= _MAX_COMMAND_DESCRIPTION:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": description}


def _language(call: Call) -> str:
    code = call.text("language_code") or ""
    if code and not re.fullmatch(r"[a-z]{2}", code):
        raise bad_request("invalid language code specified")
    return code
