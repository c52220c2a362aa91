"""/help is a few lines; its buttons lead to what is known, to the settings, and to how it is in groups."""

import pytest

from botsite import language
from botsite.bot.people import guide
from botsite.bot.words import replies
from deploy.local.telegram.client import Message, TelegramUser
from tests.support.buttons import press


def again(user: TelegramUser, message: Message) -> Message:
    found = user.message(message.message_id)
    assert found
    return found


def test_help_leads_to_groups_and_back(user: TelegramUser) -> None:
    message = user.wait_for_reply(user.send_text("/help"))
    assert [button.text for button in message.buttons] == ["What I know", "Settings", "Groups"]
    assert press(user, message, "Groups") == ""
    assert again(user, message).text == replies.GROUPS
    assert press(user, again(user, message), "Back") == ""
    assert again(user, message).text == replies.HELP


@pytest.mark.parametrize(
    ("text", "then"), [("What I know", "I can recognise "), ("Settings", "Settings for all your photos.")]
)
def test_help_opens_what_it_names(user: TelegramUser, text: str, then: str) -> None:
    message = user.wait_for_reply(user.send_text("/help"))
    assert press(user, message, text) == ""
    assert str(again(user, message).text).startswith(then)


@pytest.mark.parametrize("code", language.NAMES)
def test_help_fits_a_screen(code: str) -> None:
    with language.speaking(code):
        text, (buttons,) = guide.page("", 7)
    assert len(text.splitlines()) == 5
    assert len(text) < 700
    assert sum(len(button.text) for button in buttons) < 48
