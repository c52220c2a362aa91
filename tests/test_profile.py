"""Telegram's apps show the bot's commands and what it is for, in each language, and are told once."""

import pytest
from telegram import Bot

from botsite.bot import language, replies
from botsite.bot.errors import TelegramError
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl
from deploy.webhook import bot_api, profile


@pytest.fixture
def control(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


def asked(stack: LocalStack, method: str, code: str | None = None) -> object:
    return bot_api.ask(stack.env["TELEGRAM_TOKEN"], lambda bot: lambda: getattr(bot, method)(language_code=code))


def test_apps_show_every_command(stack: LocalStack) -> None:
    shown = bot_api.ask(stack.env["TELEGRAM_TOKEN"], lambda bot: bot.get_my_commands)
    assert [(each.command, each.description) for each in shown] == list(replies.COMMANDS.items())


def test_same_profile_is_not_sent_again(stack: LocalStack, control: TelegramControl) -> None:
    profile.publish(stack.env["TELEGRAM_TOKEN"])
    before = len(control.calls("setMyCommands"))
    assert profile.publish(stack.env["TELEGRAM_TOKEN"]) == []
    assert len(control.calls("setMyCommands")) == before


def test_only_what_differs_is_sent(stack: LocalStack) -> None:
    token = stack.env["TELEGRAM_TOKEN"]

    def rename(bot: Bot) -> object:
        return lambda: bot.set_my_short_description("Somebody else's words")

    bot_api.ask(token, rename)  # type: ignore[arg-type]
    assert profile.publish(token) == ["short description"]


def test_each_language_has_its_own(stack: LocalStack) -> None:
    assert set(profile.wanted()) == {"", *language.NAMES} - {"en"}
    for code in set(language.NAMES) - {"en"}:
        shown = {each.description for each in asked(stack, "get_my_commands", code)}  # type: ignore[attr-defined]
        with language.speaking(code):
            assert shown == {language.gettext(text) for text in replies.COMMANDS.values()}


def test_refused_profile_is_an_error(stack: LocalStack, control: TelegramControl) -> None:
    control.fault("getMyCommands", "bad_request", description="Bad Request: BOT_COMMANDS_TOO_MUCH")
    with pytest.raises(TelegramError, match=r"(?i)bot_commands_too_much"):
        profile.publish(stack.env["TELEGRAM_TOKEN"])


def test_telegram_takes_the_texts() -> None:
    for each in profile.wanted().values():
        assert len(each.description) <= 512
        assert len(each.short_description) <= 120
        assert all(1 <= len(text) <= 256 for _, text in each.commands)
