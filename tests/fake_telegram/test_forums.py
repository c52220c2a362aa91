"""Topics of a group, and chats that the bot is a guest in, behave as Telegram's do."""

from __future__ import annotations

from functools import partial

import pytest
from telegram import Bot, InlineQueryResultArticle, InputMediaPhoto, InputTextMessageContent, ReplyParameters
from telegram.error import BadRequest, Forbidden

from tests.fake_telegram.service import Fake, keyboard, picture, polled

pytestmark = pytest.mark.slow

GROUP = -1_000_000_000_777
ARTICLE = InlineQueryResultArticle("1", "Answer", InputTextMessageContent("hello"), reply_markup=keyboard("a"))


@pytest.mark.smoke
def test_topic_message_reaches_bot_with_its_thread(telegram: Fake) -> None:
    thread_id = telegram.user(GROUP).make_topic("Birds")
    telegram.user(GROUP, thread_id=thread_id).send_text("hello")
    (update,) = polled(telegram)
    message = update.message
    assert message
    assert (message.message_thread_id, message.is_topic_message, message.chat.is_forum) == (thread_id, True, True)
    assert message.reply_to_message
    assert message.reply_to_message.forum_topic_created


def test_reply_comes_into_topic_of_its_message(telegram: Fake) -> None:
    thread_id = telegram.user(GROUP).make_topic("Birds")
    asked = telegram.user(GROUP, thread_id=thread_id).send_text("hello")
    sent = telegram.bot(lambda bot: bot.send_message(GROUP, "hi", reply_parameters=ReplyParameters(asked)))
    assert sent.message_thread_id == thread_id


def test_closed_and_deleted_topics_are_refused(telegram: Fake) -> None:
    group = telegram.user(GROUP)
    closed, deleted = group.make_topic("Closed"), group.make_topic("Deleted")
    group.close_topic(closed)
    group.delete_topic(deleted)
    for to, reason in ((closed, "Topic_closed"), (deleted, "Message thread not found")):
        send = partial(Bot.send_message, chat_id=GROUP, text="hi", message_thread_id=to)
        act = partial(Bot.send_chat_action, chat_id=GROUP, action="typing", message_thread_id=to)
        with pytest.raises(BadRequest, match=reason):
            telegram.bot(send)
        with pytest.raises(BadRequest, match=reason):
            telegram.bot(act)


def test_bot_hears_only_calls_in_chat_of_others(telegram: Fake) -> None:
    group = telegram.user(GROUP)
    group.leave_bot_out()
    photo = group.send_photo(picture())
    group.send_text("what is this, @object_detection_bot?", reply_to=photo)
    (update,) = polled(telegram)
    message = update.guest_message
    assert message
    assert message.guest_query_id
    assert message.reply_to_message
    assert message.reply_to_message.photo
    with pytest.raises(Forbidden):
        telegram.bot(lambda bot: bot.send_message(GROUP, "hi"))


def test_guest_query_is_answered_once_and_edited(telegram: Fake) -> None:
    group = telegram.user(GROUP)
    group.leave_bot_out()
    asked = group.send_text("@object_detection_bot")
    (update,) = polled(telegram)
    assert update.guest_message
    query_id = str(update.guest_message.guest_query_id)
    inline = telegram.bot(lambda bot: bot.answer_guest_query(query_id, ARTICLE)).inline_message_id
    with pytest.raises(BadRequest, match="Query is too old"):
        telegram.bot(lambda bot: bot.answer_guest_query(query_id, ARTICLE))
    (answer,) = [message for message in group.messages() if message.from_bot]
    assert (answer.text, answer.reply_to) == ("hello", asked)
    pressed = group.press(answer.message_id, "a")
    (press,) = [each.callback_query for each in polled(telegram) if each.callback_query]
    assert (press.id, press.inline_message_id, press.message) == (pressed, inline, None)
    with pytest.raises(BadRequest, match="new file"):
        telegram.bot(lambda bot: bot.edit_message_media(InputMediaPhoto(picture()), inline_message_id=inline))
    stored = telegram.bot(lambda bot: bot.send_photo(1, picture())).photo[-1].file_id
    assert telegram.bot(lambda bot: bot.edit_message_media(InputMediaPhoto(stored), inline_message_id=inline)) is True
    assert group.messages()[-1].photo
