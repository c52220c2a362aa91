"""A reply to a photo asks about that photo, no matter who sent it."""

from itertools import count

import pytest

from botsite.bot.buttons import presses
from botsite.bot.words import replies
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from detection.record import predictions, queries
from detection.record.schemas import Prediction
from detection.record.sentences import Code

BOT = "object_detection_bot"
_groups = count(-79_000, -1)


@pytest.fixture
def chat_id() -> int:
    return next(_groups)


@pytest.fixture
def ada(stack: LocalStack, chat_id: int) -> TelegramUser:
    return TelegramUser(stack.telegram_url, chat_id, user_id=51, first_name="Ada")


@pytest.fixture
def bob(stack: LocalStack, chat_id: int) -> TelegramUser:
    return TelegramUser(stack.telegram_url, chat_id, user_id=52, first_name="Bob")


def stored(user: TelegramUser) -> list[Prediction]:
    found = [predictions.find(each) for each in queries.latest_of_chat(user.chat_id)]
    return [prediction for prediction in found if prediction]


def test_question_about_own_photo_is_answered(user: TelegramUser, photo: bytes) -> None:
    sent = user.send_photo(photo)
    first = user.wait_for_reply(sent)
    asked = user.send_text("what is this?", reply_to=sent)
    answer = user.wait_for_reply(asked)
    assert (answer.photo is not None, answer.caption) == (True, first.caption)
    assert {prediction.message_id for prediction in stored(user)} == {sent, asked}


def test_question_may_ask_for_options(user: TelegramUser, photo: bytes) -> None:
    sent = user.send_photo(photo)
    user.wait_for_reply(sent)
    user.wait_for_reply(user.send_text("what is this? conf 0.9", reply_to=sent))
    assert [prediction.options.least for prediction in stored(user)] == [0.9, None]


def test_question_about_image_file_is_answered(user: TelegramUser, photo: bytes) -> None:
    sent = user.send_document(photo, "photo.jpg", "image/jpeg")
    user.wait_for_reply(sent)
    assert user.wait_for_reply(user.send_text("and now?", reply_to=sent)).document


def test_question_about_other_file_is_refused(user: TelegramUser) -> None:
    sent = user.send_document(b"%PDF", "x.pdf", "application/pdf")
    assert user.wait_for_reply(user.send_text("what is this?", reply_to=sent)).text == Code.NO_IMAGE.value


def test_repeated_question_is_answered_once(stack: LocalStack, user: TelegramUser, photo: bytes) -> None:
    control = TelegramControl(stack.telegram_url)
    sent = user.send_photo(photo)
    user.wait_for_reply(sent)
    asked = user.send_text("what is this?", reply_to=sent)
    user.wait_for_reply(asked)
    update = control.updates(user.chat_id)[-1].update_id
    assert update is not None
    assert control.deliver_again(update, times=5) == [200] * 5
    assert len([message for message in user.messages() if message.answers(asked)]) == 1


def test_each_question_is_a_look_of_its_own(user: TelegramUser, photo: bytes) -> None:
    sent = user.send_photo(photo)
    user.wait_for_reply(sent)
    for _ in range(2):
        assert user.wait_for_reply(user.send_text("what is this?", reply_to=sent)).photo
    assert len(stored(user)) == 3


def test_question_about_bots_own_picture_is_no_look(user: TelegramUser, photo: bytes) -> None:
    boxed = user.wait_for_reply(user.send_photo(photo))
    asked = user.send_text("what is this?", reply_to=boxed.message_id)
    assert user.wait_for_reply(asked).text == replies.OWN_PHOTO
    assert len(stored(user)) == 1


def test_commands_stay_commands(user: TelegramUser, photo: bytes) -> None:
    sent = user.send_photo(photo)
    user.wait_for_reply(sent)
    assert user.wait_for_reply(user.send_text("/help", reply_to=sent)).text == replies.HELP
    assert user.wait_for_reply(user.send_text("/whatisthis")).text == replies.HOW_TO_ASK
    assert user.wait_for_reply(user.send_text("/what is this", reply_to=sent)).photo


@pytest.mark.parametrize("text", [f"what is this, @{BOT}?", "/what", f"/what@{BOT}", f"/what_is_this@{BOT}"])
def test_question_about_somebodys_photo_in_group_is_answered(
    ada: TelegramUser, bob: TelegramUser, photo: bytes, text: str
) -> None:
    sent = ada.send_photo(photo)
    asked = bob.send_text(text, reply_to=sent)
    answer = bob.wait_for_reply(asked)
    assert answer.photo
    assert "don't know" not in f"{answer.caption}"
    (prediction,) = stored(ada)
    assert (prediction.message_id, prediction.sender_id, prediction.author_id) == (asked, 52, 51)


@pytest.mark.parametrize("text", ["what is this?", "/what@other_bot", "what is this, @somebody?"])
def test_talk_about_photos_in_group_is_left_alone(
    stack: LocalStack, ada: TelegramUser, bob: TelegramUser, photo: bytes, text: str
) -> None:
    bob.send_text(text, reply_to=ada.send_photo(photo))
    TelegramControl(stack.telegram_url).wait_until_delivered()
    assert [message for message in ada.messages() if message.from_bot] == []
    assert stored(ada) == []


def test_buttons_are_for_who_sent_the_photo_and_who_asked(
    stack: LocalStack, ada: TelegramUser, bob: TelegramUser, photo: bytes
) -> None:
    answer = bob.wait_for_reply(bob.send_text(f"@{BOT}", reply_to=ada.send_photo(photo)))
    button = next(button for button in answer.buttons if button.data)
    third = TelegramUser(stack.telegram_url, ada.chat_id, user_id=53)
    notices = [
        user.wait_for_answer(user.press(answer.message_id, str(button.data), altered=True)).text
        for user in (third, ada, bob)
    ]
    assert notices[0] == presses.NOT_YOURS
    assert presses.NOT_YOURS not in notices[1:]
