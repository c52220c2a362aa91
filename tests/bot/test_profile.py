"""Telegram's apps show the bot's commands and what it is for, in each language, and are told once."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from telegram import Bot, BotCommand

from botsite import language
from botsite.bot.telegram.errors import TelegramError
from botsite.bot.words import replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl
from deploy.webhook import bot_api, profile
from tests.support.cases import slow_after


@pytest.fixture
def token(stack: LocalStack) -> Iterator[str]:
    """Return the bot's token; all languages are back afterwards."""
    yield stack.env["TELEGRAM_TOKEN"]
    profile.publish(stack.env["TELEGRAM_TOKEN"], language.NAMES)


@pytest.fixture
def control(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


def shown(stack: LocalStack, code: str) -> tuple[BotCommand, ...]:
    """Return the commands that Telegram has for a language."""
    return bot_api.ask(stack.env["TELEGRAM_TOKEN"], lambda bot: lambda: bot.get_my_commands(language_code=code))


def described(token: str, code: str) -> str:
    """Return the description that Telegram has for a language."""
    return bot_api.ask(token, lambda bot: lambda: bot.get_my_description(language_code=code)).description


def test_apps_show_every_command(stack: LocalStack) -> None:
    shown = bot_api.ask(stack.env["TELEGRAM_TOKEN"], lambda bot: bot.get_my_commands)
    assert [(each.command, each.description) for each in shown] == list(replies.COMMANDS.items())


def test_same_profile_is_not_sent_again(token: str, control: TelegramControl) -> None:
    profile.publish(token, language.NAMES)
    before = len(control.calls("setMyCommands"))
    assert profile.publish(token, language.NAMES) == []
    assert len(control.calls("setMyCommands")) == before


def test_only_what_differs_is_sent(token: str) -> None:
    def rename(bot: Bot) -> object:
        return lambda: bot.set_my_short_description("Somebody else's words")

    bot_api.ask(token, rename)  # type: ignore[arg-type]
    assert profile.publish(token, language.NAMES) == ["short description"]


def test_each_language_has_its_own(stack: LocalStack, token: str) -> None:
    codes = set(language.NAMES) - {language.ENGLISH}
    assert all(len(shown(stack, code)) == len(replies.COMMANDS) for code in codes)
    bot_api.ask(token, lambda bot: lambda: bot.delete_my_commands(language_code="de"))
    assert profile.publish(token, language.NAMES) == ["commands in de"]
    assert profile.publish(token, language.NAMES) == []


@pytest.mark.parametrize(
    ("spoken", "everybodys"),
    slow_after(1, [(["de", "es"], "de"), (["es"], "es"), (["es", "en"], "en"), (list(language.NAMES), "en")]),
)
def test_only_spoken_languages_are_shown(
    stack: LocalStack, token: str, monkeypatch: pytest.MonkeyPatch, spoken: list[str], everybodys: str
) -> None:
    # What this machine's environment says is about another bot.
    monkeypatch.setattr(settings, "BOT_LANGUAGES", ["ru"])
    profile.publish(token, spoken)
    assert profile.publish(token, spoken) == []
    own = set(spoken) - {everybodys}
    with language.speaking(everybodys, offered=spoken):
        default = language.gettext(replies.DESCRIPTION)
        commands = [language.gettext(text) for text in replies.COMMANDS.values()]
    assert [each.description for each in shown(stack, "")] == commands
    assert {code for code in language.NAMES if shown(stack, code)} == own
    assert {code for code in language.NAMES if described(token, code) != default} == own


def test_refused_profile_is_an_error(stack: LocalStack, control: TelegramControl) -> None:
    control.fault("getMyCommands", "bad_request", description="Bad Request: BOT_COMMANDS_TOO_MUCH")
    with pytest.raises(TelegramError, match=r"(?i)bot_commands_too_much"):
        profile.publish(stack.env["TELEGRAM_TOKEN"], language.NAMES)


def test_telegram_takes_the_texts() -> None:
    for each in profile.wanted(language.NAMES).values():
        assert len(each.description) <= 512
        assert len(each.short_description) <= 120
        assert all(1 <= len(text) <= 256 for _, text in each.commands)
