"""In a group with topics, answers come into the topic of the photo."""

from collections.abc import Callable
from itertools import count

import pytest

from botsite.bot.words import replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection.record import predictions, queries
from detection.record.schemas import Delivery, Prediction
from tests.support.processes import wait_until

CAPTION = "@object_detection_bot"
_groups = count(-1_000_000_070_000, -1)


@pytest.fixture
def group(stack: LocalStack) -> TelegramUser:
    return TelegramUser(stack.telegram_url, next(_groups), user_id=61)


@pytest.fixture
def thread_id(group: TelegramUser) -> int:
    return group.make_topic("Birds")


@pytest.fixture
def member(stack: LocalStack, group: TelegramUser, thread_id: int) -> TelegramUser:
    """Return somebody who writes in a topic of the group."""
    return TelegramUser(stack.telegram_url, group.chat_id, user_id=61, thread_id=thread_id)


@pytest.fixture
def control(stack: LocalStack) -> TelegramControl:
    return TelegramControl(stack.telegram_url)


def stored(group: TelegramUser) -> Prediction:
    prediction = predictions.find(queries.latest_of_chat(group.chat_id)[0])
    assert prediction is not None
    return prediction


def test_photo_is_answered_in_its_topic(member: TelegramUser, thread_id: int, photo: bytes) -> None:
    answer = member.wait_for_reply(member.send_photo(photo, CAPTION))
    assert (answer.thread_id, stored(member).thread_id) == (thread_id, thread_id)


@pytest.mark.parametrize(("caption", "kind"), [("crops", "photo"), ("json", "document")])
def test_every_form_is_answered_in_its_topic(
    member: TelegramUser, thread_id: int, photo: bytes, caption: str, kind: str
) -> None:
    answer = member.wait_for_reply(member.send_photo(photo, f"{CAPTION} {caption}"))
    assert getattr(answer, kind)
    assert answer.thread_id == thread_id


@pytest.mark.slow
def test_album_is_answered_in_its_topic(member: TelegramUser, thread_id: int, photo: bytes) -> None:
    first, _ = member.send_album([photo] * 2, caption=CAPTION)
    answer = member.wait_for_reply(first)
    assert answer.media_group_id
    assert answer.thread_id == thread_id


def test_texts_are_answered_in_their_topic(member: TelegramUser, thread_id: int) -> None:
    answer = member.wait_for_reply(member.send_text("/help"))
    assert (answer.text, answer.thread_id) == (replies.COMMANDS["help"], thread_id)


def test_deletion_is_reported_in_its_topic(member: TelegramUser, thread_id: int, control: TelegramControl) -> None:
    question = member.wait_for_reply(member.send_text("/delete_my_data"))
    control.fault("editMessageText", "bad_request", chat_id=member.chat_id)
    member.press(question.message_id, str(question.buttons[0].data))
    report = member.wait_for(lambda message: "I've deleted" in (message.text or ""))
    assert (report.message_id != question.message_id, report.thread_id) == (True, thread_id)


def test_topic_message_is_no_reply_to_maker_of_topic(
    stack: LocalStack, group: TelegramUser, control: TelegramControl, photo: bytes
) -> None:
    # As if the bot had made the topic: each message there names that message.
    bot_id = int(stack.env["TELEGRAM_TOKEN"].partition(":")[0])
    bot = TelegramUser(stack.telegram_url, group.chat_id, user_id=bot_id)
    topic = bot.make_topic("Made by the bot")
    TelegramUser(stack.telegram_url, group.chat_id, user_id=61, thread_id=topic).send_photo(photo)
    control.wait_until_delivered()
    assert queries.latest_of_chat(group.chat_id) == []


def test_button_works_for_asker_after_question_is_gone(
    stack: LocalStack, member: TelegramUser, photo: bytes, control: TelegramControl
) -> None:
    # Without the question, Telegram names the message that made the topic, which somebody else may have done.
    maker = TelegramUser(stack.telegram_url, member.chat_id, user_id=62)
    topic = maker.make_topic("Cats")
    asker = TelegramUser(stack.telegram_url, member.chat_id, user_id=61, thread_id=topic)
    sent = asker.send_photo(photo, CAPTION)
    answer = asker.wait_for_reply(sent)
    asker.delete(sent)
    for text in ("More", "Download data"):
        shown = asker.message(answer.message_id)
        assert shown
        button = next(button for button in shown.buttons if button.text.startswith(text))
        assert asker.wait_for_answer(asker.press(answer.message_id, str(button.data))).text == ""
    archive = asker.wait_for(lambda message: message.document is not None)
    assert archive.thread_id == topic


def test_activity_is_shown_in_topic(
    member: TelegramUser, thread_id: int, control: TelegramControl, photo: bytes
) -> None:
    member.wait_for_reply(member.send_photo(photo, CAPTION))
    calls = control.calls("sendChatAction", member.chat_id)
    assert {(call.status, call.thread_id) for call in calls} == {(200, thread_id)}


def _answer_without(stack: LocalStack, member: TelegramUser, photo: bytes, lose: Callable[[], None]) -> None:
    """Have a photo answered after something has happened to its topic."""
    control = TelegramControl(stack.telegram_url)
    # The answer takes a moment to reach Telegram.
    slow = control.fault("sendPhoto", "delay", chat_id=member.chat_id, seconds=3.0)
    member.send_photo(photo, CAPTION)
    control.wait_until_delivered()
    lose()
    control.wait_for_calls("sendPhoto", chat_id=member.chat_id)
    assert control.faults_fired(slow) == 1


def test_answer_for_deleted_topic_comes_to_general(
    stack: LocalStack, member: TelegramUser, group: TelegramUser, thread_id: int, photo: bytes
) -> None:
    _answer_without(stack, member, photo, lambda: group.delete_topic(thread_id))
    answer = group.wait_for(lambda message: message.from_bot)
    assert (answer.photo is not None, answer.thread_id) == (True, None)
    # It is in the chat a moment before it is recorded.
    assert wait_until(lambda: stored(group).delivery is Delivery.DELIVERED)


@pytest.mark.slow
def test_closed_topic_gets_no_answer_and_group_stays_open(
    stack: LocalStack, member: TelegramUser, group: TelegramUser, thread_id: int, photo: bytes
) -> None:
    _answer_without(stack, member, photo, lambda: group.close_topic(thread_id))
    control = TelegramControl(stack.telegram_url)
    assert [call.status for call in control.calls("sendPhoto", group.chat_id)] == [400]
    assert control.calls("sendMessage", group.chat_id) == []
    other = TelegramUser(stack.telegram_url, group.chat_id, user_id=61)
    assert other.wait_for_reply(other.send_photo(photo, CAPTION)).photo
